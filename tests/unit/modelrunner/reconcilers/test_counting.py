"""Each pull counts once."""

from modelrunner.domain.downloads import PullEnd
from modelrunner.reconcilers import counting
from modelrunner.reconcilers.counting import PullCounter


def end(job: str, result: str = "success", finished_at: float = 100.0) -> PullEnd:
    """A pull that ended."""
    return PullEnd(job=job, source="http", result=result, finished_at=finished_at)


def test_each_job_counts_once() -> None:
    """However often it is looked at, and by however many Models that share it."""
    counted: list[PullEnd] = []
    counter = PullCounter(counted.append, begun=50.0)
    for one in (end("a"), None, end("a"), end("b", "retry"), end("b", "retry")):
        counter.take(one)
    assert [one.job for one in counted] == ["a", "b"]


def test_failures_of_before_were_counted_before() -> None:
    """A failed Job stays; a restart of the operator is no second failure."""
    counted: list[PullEnd] = []
    counter = PullCounter(counted.append, begun=500.0)
    counter.take(end("a", "failure"))
    counter.take(end("b", "success"))
    counter.take(end("c", "retry", finished_at=499.0))
    assert [one.job for one in counted] == ["b", "c"]


def test_memory_is_bounded() -> None:
    """Jobs of long ago are forgotten."""
    counter = PullCounter(lambda _: None, begun=0.0)
    for number in range(counting._REMEMBERED + 10):
        counter.take(end(str(number)))
    assert len(counter._known) == counting._REMEMBERED
