"""What a stand-alone server tells Prometheus: its own families, and those of every engine."""

import asyncio
from collections.abc import Mapping
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from runnerd.engines import upstream
from runnerd.server import answers
from runnerd.server.gate import Gate
from runnerd.server.served import Served
from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.pages import Page
from runnerd.standalone.pool import Pool
from runnerd.telemetry.merged import merged
from runnerd.telemetry.metrics import CONTENT_TYPE

_SECONDS: Final = (0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_ENGINE_LIMIT: Final = 4 << 20


class ServerMetrics:
    """Counts what goes through the server's door."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "runnerd_serve_requests",
            "Requests for models, by route and class of status; 499: the client left first",
            ["route", "status"],
            registry=self.registry,
        )
        self._duration = Histogram(
            "runnerd_serve_request_duration_seconds",
            "From the head of a request to the last byte of its answer, loading included",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "runnerd_serve_in_flight", "Requests being answered or waiting", registry=self.registry
        )
        self.models = Gauge("runnerd_serve_models", "Models in the store", registry=self.registry)
        self.engines = Gauge(
            "runnerd_serve_engines", "Engines that are loaded or loading", registry=self.registry
        )

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count one request that got its last byte."""
        text = "499" if status == 499 else f"{status // 100}xx"
        self._requests.labels(route, text).inc()
        self._duration.labels(route).observe(seconds)


class Exposition:
    """Answers at `/metrics`."""

    def __init__(
        self, metrics: ServerMetrics, gate: Gate, catalogue: Catalogue, pool: Pool
    ) -> None:
        self._metrics = metrics
        self._gate = gate
        self._catalogue = catalogue
        self._pool = pool

    def pages(self) -> tuple[Page, ...]:
        """What is answered here."""
        return (Page("/metrics", {"GET": self._render}),)

    async def _render(self, _: web.BaseRequest, __: Mapping[str, str]) -> web.Response:
        metrics, running = self._metrics, self._pool.running()
        metrics.in_flight.set(self._gate.in_flight)
        metrics.models.set(len(await asyncio.to_thread(self._catalogue.models)))
        metrics.engines.set(len(running))
        own = generate_latest(metrics.registry).decode()
        engines = await asyncio.gather(*(_engine(one) for one in self._pool.served()))
        text = merged((own, *engines))
        return web.Response(
            body=text.encode(), headers={"Content-Type": CONTENT_TYPE, "Server": answers.SERVER}
        )


async def _engine(served: Served) -> str:
    """The metrics of one engine, and of what is around it."""
    told = None
    if served.engine.ready:
        told = await upstream.metrics(served.session, _ENGINE_LIMIT)
    return served.metrics.render(
        ready=served.engine.ready,
        closed=False,
        in_flight=served.gate.in_flight,
        waiting=served.gate.waiting,
        held=0,
        engine=told,
    )
