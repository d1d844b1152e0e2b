"""Counters of ended pulls."""

from prometheus_client import CollectorRegistry, generate_latest

from modelrunner.domain.downloads import PullEnd
from modelrunner.telemetry.pulls import PullMetrics


def test_pulls_are_counted_by_source_and_result() -> None:
    """Jobs, bytes, seconds and retries; what cannot be is not subtracted."""
    registry = CollectorRegistry()
    pulls = PullMetrics(registry)
    for result, size, seconds in (("success", 100, 2.5), ("retry", 40, 1.5), ("retry", -7, -1.0)):
        pulls.ended(
            PullEnd(
                job="j",
                source="huggingFace",
                result=result,
                finished_at=0.0,
                downloaded_bytes=size,
                seconds=seconds,
                retries=2,
            )
        )
    text = generate_latest(registry).decode()
    for line in (
        'modelrunner_pulls_total{result="success",source="huggingFace"} 1.0',
        'modelrunner_pulls_total{result="retry",source="huggingFace"} 2.0',
        'modelrunner_pull_bytes_total{source="huggingFace"} 140.0',
        'modelrunner_pull_seconds_total{source="huggingFace"} 4.0',
        'modelrunner_pull_retries_total{source="huggingFace"} 6.0',
    ):
        assert line in text
