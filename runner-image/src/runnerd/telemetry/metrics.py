"""The runner's own metric families, `runnerd_*`."""

from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import RunConfig
from runnerd.telemetry.relabel import relabel

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """Counted by the parts of the runner, rendered for Prometheus."""

    def __init__(self, config: RunConfig) -> None:
        self._labels = _labels(config)
        # One more series per counter that nobody reads.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        self._registry = CollectorRegistry()
        self._make_request_families(self._registry)
        self._make_door_families(self._registry)
        self._make_engine_families(self._registry)

    def _make_request_families(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "runnerd_requests",
            "Requests answered, by route and class of status; 499: the client left first",
            ["route", "status"],
            registry=registry,
        )
        self._duration = Histogram(
            "runnerd_request_duration_seconds",
            "From the head of a request to the last byte of its answer",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._first_byte = Histogram(
            "runnerd_time_to_first_byte_seconds",
            "From the head of a request to the head of the engine's answer",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "runnerd_in_flight", "Requests being answered or waiting", registry=registry
        )
        self._waiting = Gauge(
            "runnerd_waiting", "Requests waiting for their turn at the engine", registry=registry
        )
        self._children: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._first_bytes: dict[str, Histogram] = {}

    def _make_door_families(self, registry: CollectorRegistry) -> None:
        self._held = Gauge(
            "runnerd_held", "Requests that wait at the gateways, as these told", registry=registry
        )
        self._closed = Gauge(
            "runnerd_closed", "1 while the door is closed to new requests", registry=registry
        )
        turned_away = Counter(
            "runnerd_turned_away",
            "Requests sent elsewhere with X-Runner-Draining, by why",
            ["reason"],
            registry=registry,
        )
        # From the start, so that a rate has a first value to count from.
        self._turned_away = {word: turned_away.labels(word) for word in ("closed", "stopping")}
        self._overrides = Counter(
            "runnerd_keep_alive_overrides",
            "Requests that brought a keep_alive of their own",
            registry=registry,
        )

    def _make_engine_families(self, registry: CollectorRegistry) -> None:
        self._restarts = Counter(
            "runnerd_engine_restarts",
            "Engines started again after an end, by reason",
            ["reason"],
            registry=registry,
        )
        self._stages = Gauge(
            "runnerd_engine_start_seconds",
            "The newest start of the engine, by stage",
            ["stage"],
            registry=registry,
        )
        self._ready = Gauge("runnerd_ready", "1 while requests are answered", registry=registry)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count one request that got its last byte."""
        found = self._children.get((route, status))
        if found is None:
            # Finding a child by its labels takes longer than counting in it.
            text = "499" if status == 499 else f"{status // 100}xx"
            found = self._requests.labels(route, text), self._duration.labels(route)
            self._children[route, status] = found
        found[0].inc()
        found[1].observe(seconds)

    def first_byte(self, route: str, seconds: float) -> None:
        """Count the head of one of the engine's answers."""
        found = self._first_bytes.get(route)
        if found is None:
            found = self._first_bytes[route] = self._first_byte.labels(route)
        found.observe(seconds)

    def turned_away(self, *, stopping: bool) -> None:
        """Count one request that met a closed door, or a runner that is stopping."""
        self._turned_away["stopping" if stopping else "closed"].inc()

    def overridden(self) -> None:
        """Count one request with a keep_alive."""
        self._overrides.inc()

    def restarted(self, reason: Reason) -> None:
        """Count one more start after an end."""
        self._restarts.labels(reason.value).inc()

    def stage(self, name: str, seconds: float) -> None:
        """Tell how long one stage ("load", "warmup") of the newest start took."""
        self._stages.labels(name).set(seconds)

    def render(
        self,
        *,
        ready: bool,
        closed: bool,
        in_flight: int,
        waiting: int,
        held: int,
        engine: str | None,
    ) -> str:
        """Own families, then those of `engine` (its own exposition), all with our labels."""
        self._ready.set(ready)
        self._closed.set(closed)
        self._held.set(held)
        self._in_flight.set(in_flight)
        self._waiting.set(waiting)
        own = generate_latest(self._registry).decode()
        return relabel(own, self._labels) + relabel(engine or "", self._labels)


def _labels(config: RunConfig) -> dict[str, str]:
    """A runner's model is an object in a namespace; a stand-alone server has modes side by side."""
    if config.namespace:
        return {
            "namespace": config.namespace,
            "model": config.model,
            "runner": config.runner,
            "engine": config.engine,
        }
    return {"backend": config.engine, "model": config.model, "mode": config.mode.value}
