"""What a pull tells over HTTP while it runs."""

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from modelrunner_protocol.codec import encode
from modelrunner_protocol.wire import PROGRESS_PATH
from runnerd.weights.progress import ProgressMeter

logger = logging.getLogger(__name__)


class PullCollector(Collector):
    """Metrics read from the meter when they are asked for; `source` is the kind of source."""

    def __init__(self, meter: ProgressMeter, source: str) -> None:
        self._meter = meter
        self._source = source

    def collect(self) -> Iterable[Metric]:
        """All metrics of a pull; sizes in bytes."""
        meter, progress = self._meter, self._meter.progress()
        for name, text, counted in (
            ("downloaded_bytes", "Bytes that came from the source.", meter.downloaded),
            ("repeated_attempts", "Attempts that failed and were made again.", meter.retries),
        ):
            counter = CounterMetricFamily(f"modelrunner_pull_{name}", text, labels=["source"])
            counter.add_metric([self._source], counted)
            yield counter
        for name, text, value in (
            (
                "completed_bytes",
                "Bytes of the artifact that are on the volume.",
                progress.completed_bytes,
            ),
            (
                "resumed_bytes",
                "Bytes of them that an earlier pull had left.",
                progress.resumed_bytes,
            ),
            ("size_bytes", "Bytes of the whole artifact, 0 until known.", progress.total_bytes),
            (
                "bytes_per_second",
                "Rate of the download over the last ten seconds.",
                progress.bytes_per_second,
            ),
            ("idle_seconds", "Seconds that no byte has come for.", progress.idle_seconds),
        ):
            gauge = GaugeMetricFamily(f"modelrunner_pull_{name}", text, labels=["source"])
            gauge.add_metric([self._source], value or 0)
            yield gauge


def application(meter: ProgressMeter, source: str) -> web.Application:
    """GET /progress (a `Progress`), /healthz and /metrics, labelled with the kind of source."""
    registry = CollectorRegistry()
    registry.register(PullCollector(meter, source))

    async def progress(_: web.Request) -> web.Response:
        return web.Response(text=encode(meter.progress()), content_type="application/json")

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def metrics(_: web.Request) -> web.Response:
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=generate_latest(registry), headers=headers)

    app = web.Application(client_max_size=0)
    app.router.add_get(PROGRESS_PATH, progress)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/metrics", metrics)
    return app


@asynccontextmanager
async def serving(meter: ProgressMeter, port: int, source: str) -> AsyncIterator[None]:
    """Serve while the block runs. A pull goes on when the port is taken: it only says so."""
    runner = web.AppRunner(application(meter, source), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, port=port).start()
        except OSError as error:
            logger.warning("progress is not served on port %d: %s", port, error.strerror)
        yield
    finally:
        await runner.cleanup()
