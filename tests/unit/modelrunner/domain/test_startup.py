"""A cold start by stage."""

from modelrunner.domain.objects import parse_time
from modelrunner.domain.startup import startup_times
from modelrunner_protocol.runner import RunnerState, RunnerStatus
from tests.unit.modelrunner.domain.pod_json import CREATED, RUNNING, container, pod


def test_all_stages() -> None:
    """Pod times in whole seconds, the runner's in fractions; none is negative."""
    found = pod(
        conditions={"PodScheduled": "True", "Ready": "True"},
        containers=[container(RUNNING, ready=True)],
    )
    started = (parse_time(CREATED) or 0) + 2.5
    status = RunnerStatus(
        state=RunnerState.READY,
        started_at=started,
        engine_ready_at=started + 0.3,
        warmed_at=started + 0.45,
    )
    assert startup_times(found, status) == {
        "scheduledSeconds": 0.0,
        "imageSeconds": 2.5,
        "engineSeconds": 0.3,
        "warmupSeconds": 0.15,
        "totalSeconds": 2.95,
    }


def test_without_the_runners_word() -> None:
    """What only the runner knows is left out."""
    found = pod(
        conditions={"PodScheduled": "True", "Ready": "True"},
        containers=[container(RUNNING, ready=True)],
    )
    assert startup_times(found, None) == {
        "scheduledSeconds": 0.0,
        "imageSeconds": 3.0,
        "totalSeconds": 0.0,
    }


def test_a_pod_that_is_not_ready_has_not_started() -> None:
    """Nothing to tell yet."""
    assert startup_times(pod(), None) is None
