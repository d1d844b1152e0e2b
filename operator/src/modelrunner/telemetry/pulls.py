"""Metrics of the pulls that ended, by kind of source."""

from prometheus_client import CollectorRegistry, Counter

from modelrunner.domain.downloads import PullEnd


class PullMetrics:
    """Counters of ended pull Jobs; `source` is a kind as a Model's spec names it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._pulls = Counter(
            "modelrunner_pulls",
            "Pull Jobs that ended, by kind of source and result: success; retry (it failed and is "
            "tried again), failure (somebody has to act).",
            ["source", "result"],
            registry=registry,
        )
        self._bytes = Counter(
            "modelrunner_pull_bytes",
            "Bytes that pull Jobs downloaded, the failed ones included.",
            ["source"],
            registry=registry,
        )
        self._seconds = Counter(
            "modelrunner_pull_seconds",
            "Seconds that pull Jobs worked, the failed ones included.",
            ["source"],
            registry=registry,
        )
        self._retries = Counter(
            "modelrunner_pull_retries",
            "Attempts that failed inside pull Jobs and were made again.",
            ["source"],
            registry=registry,
        )

    def ended(self, end: PullEnd) -> None:
        """Count one pull Job."""
        self._pulls.labels(source=end.source, result=end.result).inc()
        # What a pod says of itself: a counter must not go back.
        self._bytes.labels(source=end.source).inc(max(0, end.downloaded_bytes))
        self._seconds.labels(source=end.source).inc(max(0.0, end.seconds))
        self._retries.labels(source=end.source).inc(max(0, end.retries))
