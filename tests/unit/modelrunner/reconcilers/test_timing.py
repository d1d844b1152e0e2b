"""When a Model is looked at again."""

from dataclasses import replace

import pytest

from modelrunner.reconcilers.observation import JobAndPods
from modelrunner.reconcilers.planning import plan_model
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Outcome
from tests.unit.modelrunner.domain.pod_json import (
    NOW,
    RUNNING,
    Object,
    container,
    pod,
    unschedulable,
)
from tests.unit.modelrunner.reconcilers.worlds import (
    ARTIFACT,
    DEFAULTS,
    after,
    job_ended,
    rolled_out,
    start,
)


def pulling_with(found: Object, now: float = NOW) -> float | None:
    """The wait while a pull pod is like this."""
    seen = after(start(), plan_model(start(), DEFAULTS))
    seen = replace(seen, resolve=job_ended(seen.resolve, "resolve", Outcome(artifact=ARTIFACT)))
    seen = after(seen, plan_model(seen, DEFAULTS))
    assert seen.pull is not None
    pull = JobAndPods(job=seen.pull.job, pods=[found])
    return plan_model(replace(seen, pull=pull, now=now), DEFAULTS).requeue_after


def starting_with(found: Object, now: float = NOW) -> float | None:
    """The wait while the runner pod is like this."""
    seen = after(start(), plan_model(start(), DEFAULTS))
    seen = replace(seen, resolve=job_ended(seen.resolve, "resolve", Outcome(artifact=ARTIFACT)))
    seen = after(seen, plan_model(seen, DEFAULTS))
    seen = replace(seen, pull=job_ended(seen.pull, "pull", Outcome(artifact=ARTIFACT)))
    seen = after(seen, plan_model(seen, DEFAULTS))
    seen = replace(seen, pods=[found], deployment=rolled_out(seen.deployment), now=now)
    return plan_model(seen, DEFAULTS).requeue_after


@pytest.mark.parametrize(("age", "wait"), [(10, 2), (59, 2), (61, 5), (9999, 5)])
def test_a_pull_is_asked_every_few_seconds(age: float, wait: float) -> None:
    """Two seconds in its first minute, then five."""
    found = pod(containers=[container(RUNNING)])
    assert pulling_with(found, NOW - 30 + age) == wait


@pytest.mark.parametrize(("age", "wait"), [(1, 0.5), (31, 1), (121, 2), (601, 5)])
def test_a_starting_runner_is_asked_less_and_less(age: float, wait: float) -> None:
    """Often while somebody is watching, rarely while a large model loads."""
    assert starting_with(pod(containers=[container(RUNNING)]), NOW - 30 + age) == wait


def test_what_a_watch_tells_is_not_asked_for() -> None:
    """A pod without a node is told by the scheduler, not by a timer."""
    waits = starting_with(unschedulable("0/1 nodes are available: 1 Insufficient cpu."), NOW + 60)
    assert waits is None


def test_a_grace_ends_by_itself() -> None:
    """A volume that does not bind makes no event: it is looked at when the grace is over."""
    found = unschedulable("pod has unbound immediate PersistentVolumeClaims.")
    assert starting_with(found, NOW - 10) == pytest.approx(10)


def test_a_retry_is_looked_at_in_time() -> None:
    """Exactly when the next try is due."""
    seen = after(start(), plan_model(start(), DEFAULTS))
    failed = Outcome(reason=Reason.PULL_FAILED, message="503", retryable=True)
    seen = replace(seen, resolve=job_ended(seen.resolve, "resolve", failed))
    wait = plan_model(replace(seen, now=seen.now - 4), DEFAULTS).requeue_after
    assert wait == pytest.approx(4)
