"""The operator's metrics: one registry per process object, none global."""

from collections.abc import Callable, Hashable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from modelrunner.telemetry.pulls import PullMetrics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counters and gauges of one operator process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.reconciles = Counter(
            "modelrunner_reconcile",
            "Finished reconciles by kind and result (success, requeue, error).",
            ["kind", "result"],
            registry=self.registry,
        )
        self.reconcile_seconds = Histogram(
            "modelrunner_reconcile_seconds",
            "How long reconciles took.",
            ["kind"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.writes = Counter(
            "modelrunner_api_writes",
            "Write requests sent to the API server.",
            ["verb", "resource"],
            registry=self.registry,
        )
        self.scale_steps = Counter(
            "modelrunner_scale_steps",
            "Scale steps of the operator by direction (up, down) and result: done; busy (a runner "
            "was in use again), outrun (somebody changed the Deployment first), unknown (a runner "
            "gave no answer), denied (RBAC or a policy), failed (no answer of the API server).",
            ["direction", "result"],
            registry=self.registry,
        )
        self.leader = Gauge(
            "modelrunner_leader", "1 while this process leads, else 0.", registry=self.registry
        )
        self.missed = Counter(
            "modelrunner_watch_missed",
            "Differences a resync found that no watch event had told.",
            ["resource"],
            registry=self.registry,
        )
        self.pulls = PullMetrics(self.registry)

    def finished(self, key: Hashable, result: str, seconds: float) -> None:
        """Count one reconcile of a key that has a `kind` (a work queue's observer)."""
        kind = str(getattr(key, "kind", ""))
        self.reconciles.labels(kind=kind, result=result).inc()
        self.reconcile_seconds.labels(kind=kind).observe(seconds)

    def scaled(self, direction: str, result: str) -> None:
        """Count one scale step."""
        self.scale_steps.labels(direction=direction, result=result).inc()

    def gauge(self, name: str, text: str, read: Callable[[], float | None]) -> None:
        """A gauge that is read when asked for; None leaves it out."""
        self.registry.register(_Read(name, text, None, lambda: _single(read())))

    def gauges(
        self, name: str, text: str, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        """As `gauge`, one value for each value of `label`."""
        self.registry.register(_Read(name, text, label, read))

    def render(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self.registry)


def _single(value: float | None) -> Mapping[str, float]:
    return {} if value is None else {"": value}


class _Read(Collector):
    def __init__(
        self, name: str, text: str, label: str | None, read: Callable[[], Mapping[str, float]]
    ) -> None:
        self._name = name
        self._text = text
        self._label = label
        self._read = read

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Name the family without reading it: it is registered before its source runs."""
        yield GaugeMetricFamily(self._name, self._text)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read the values now."""
        labels = [self._label] if self._label else []
        family = GaugeMetricFamily(self._name, self._text, labels=labels)
        for value, number in sorted(self._read().items()):
            family.add_metric([value] if labels else [], number)
        yield family
