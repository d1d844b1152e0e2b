"""Runners out of pods, a Deployment and what they say."""

from dataclasses import replace
from typing import Any

import pytest

from modelrunner.domain.fleet import Fleet, muster
from modelrunner_protocol.runner import RunnerState, RunnerStatus
from tests.unit.modelrunner.domain.pod_json import RUNNING, Object, container, deployment, pod

STATUS = RunnerStatus(state=RunnerState.READY, started_at=1.0)


def ready(name: str, **more: Any) -> Object:
    """A pod that runs and is ready."""
    kinds = {"PodScheduled": "True", "Ready": "True"}
    return pod(name, conditions=kinds, containers=[container(RUNNING, ready=True)], **more)


def two(**more: Any) -> Object:
    """A Deployment that wants two pods and has them."""
    return deployment(replicas=2, updated=2, total=2, **more)


def mustered(found: Object, *pods: Object, **statuses: RunnerStatus | None) -> Fleet:
    """The fleet, with the statuses by the pods' names."""
    told = {f"uid-{name}": status for name, status in statuses.items()}
    return muster(found, pods, told, doorless={"uid-c"})


def test_a_fleet_at_rest() -> None:
    """In order of age, each with its own words and what is remembered of it."""
    young, old = ready("c", created="2026-11-21T10:00:05Z"), ready("b")
    young["metadata"]["annotations"] = {"controller.kubernetes.io/pod-deletion-cost": "-1000"}
    found = mustered(two(), young, old, b=STATUS)
    assert (found.name, found.replicas, found.stable) == ("m", 2, True)
    first, second = found.runners
    assert (first.name, first.ip, first.ready, first.status) == ("b", "10.0.0.7", True, STATUS)
    assert (first.closable, first.marked) == (True, False)
    assert (second.name, second.status, second.closable, second.marked) == ("c", None, False, True)
    assert not found.known


def test_pods_that_do_not_count() -> None:
    """Those on their way out, and those that are left behind as failed."""
    going = ready("b")
    going["metadata"]["deletionTimestamp"] = "2026-11-21T10:00:05Z"
    evicted = pod("e", phase="Failed")
    found = mustered(two(), ready("a"), going, evicted, a=STATUS)
    assert [one.name for one in found.runners] == ["a"]
    assert not found.stable


@pytest.mark.parametrize(
    "moving",
    [
        two(generation=2),
        deployment(replicas=2, updated=1, total=2),
        deployment(replicas=2, updated=2, total=3),
        deployment(replicas=3, updated=3, total=3),
    ],
)
def test_a_fleet_that_moves_is_not_stable(moving: Object) -> None:
    """A rollout, a controller that is behind, a cache that is behind."""
    assert not mustered(moving, ready("a"), ready("b")).stable


def test_a_pod_without_a_running_container_has_not_started() -> None:
    """Nobody can be using it; what has started must be known, closed ones may be not ready."""
    waiting = pod("w", phase="Pending", node="")
    shut = RunnerStatus(state=RunnerState.READY, started_at=1.0, closed_until=9.0)
    not_ready = pod("s", containers=[container(RUNNING)])
    assert [one.name for one in mustered(two(), ready("a"), waiting, a=STATUS).started] == ["a"]
    assert mustered(two(), ready("a"), waiting, a=STATUS).known
    assert mustered(two(), ready("a"), not_ready, a=STATUS, s=shut).known
    assert not mustered(two(), ready("a"), not_ready, a=STATUS, s=STATUS).known
    assert not mustered(two(), waiting).known


def test_load_is_what_is_inside_and_what_waits() -> None:
    """Of all that have told it."""
    told = RunnerStatus(state=RunnerState.READY, started_at=1.0, in_flight=3, held=4)
    assert mustered(two(), ready("a"), ready("b"), a=told).load == 7


def test_an_engine_is_up_since_its_warm_up() -> None:
    """Or since the best that is known; never where nothing is."""
    told = RunnerStatus(state=RunnerState.READY, started_at=1.0, engine_ready_at=2.0, warmed_at=3.0)
    cold = replace(told, warmed_at=None)
    for status, expected in ((told, 3.0), (cold, 2.0), (replace(cold, engine_ready_at=None), 1.0)):
        assert mustered(two(), ready("a"), a=status).runners[0].up_since == expected
    assert mustered(two(), ready("a")).runners[0].up_since == float("inf")
