"""Claims that are too small: what they are to become, and what is told meanwhile."""

from typing import Any

import pytest

from modelrunner.domain.growth import (
    GROWTHS,
    growing,
    growths_with,
    not_grown,
    outgrown,
    room_for,
    size_for_job,
    too_small,
)
from modelrunner.domain.jobs import JobState, JobView
from modelrunner.domain.naming import GROWN_ANNOTATION
from modelrunner.domain.problem import Problem
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Outcome
from tests.unit.modelrunner.domain.settings_of import settings_of

GI = 2**30


def claim(asked: str, given: str = "", *, times: int = 0, **status: Any) -> dict[str, Any]:
    """A claim that asks for one size and has another; it has grown so many `times`."""
    more = {"capacity": {"storage": given}} if given else {}
    return {
        "metadata": {
            "name": "c",
            "annotations": {GROWN_ANNOTATION: str(times)} if times else {},
        },
        "spec": {"resources": {"requests": {"storage": asked}}},
        "status": {**more, **status},
    }


def told(kind: str, message: str = "") -> dict[str, Any]:
    """A condition of a claim that holds."""
    return {"conditions": [{"type": kind, "status": "True", "message": message}]}


def pull(
    *,
    missing: int = GI,
    had: int = GI,
    state: JobState = JobState.FAILED,
    reason: Reason = Reason.CACHE_TOO_SMALL,
) -> JobView:
    """A pull that has failed, for want of room where nothing else is said."""
    outcome = Outcome(reason=reason, missing_bytes=missing)
    full = Problem(Reason.CACHE_TOO_SMALL, "too full. Trying the same again would not help: x")
    return JobView(state=state, attempt=1, problem=full, outcome=outcome, had_bytes=had)


def test_a_volume_that_is_large_enough_is_not_waited_for() -> None:
    """Nor one that does not exist yet, nor one whose file system grows when it is mounted."""
    assert growing(None, GI) is None
    assert growing(claim("2Gi"), 2 * GI) is None
    assert growing(claim("2Gi", "2Gi"), 2 * GI) is None
    assert growing(claim("2Gi", "1Gi"), GI) is None
    assert growing(claim("2Gi", "1Gi", **told("FileSystemResizePending")), 2 * GI) is None


def test_the_wait_names_both_sizes() -> None:
    """Also before it was asked for: the same look asks."""
    asked = growing(claim("2Gi", "1Gi"), 2 * GI)
    unasked = growing(claim("1Gi", "1Gi"), 2 * GI)
    pending = growing(claim("1Gi", "1Gi", **told("FileSystemResizePending")), 2 * GI)
    words = "waiting for PersistentVolumeClaim c to grow from 1.0 GiB to 2.0 GiB"
    for found in (asked, unasked, pending):
        assert found is not None
        assert (found.message, found.problem) == (words, None)


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (told("ControllerResizeError", "the pool is empty."), "the pool is empty. Mend: "),
        (told("NodeResizeError"), "NodeResizeError. Mend: "),
        (
            {"allocatedResourceStatuses": {"storage": "ControllerResizeInfeasible"}},
            "the storage system says ControllerResizeInfeasible. Mend: ",
        ),
    ],
)
def test_a_volume_that_cannot_grow(status: dict[str, Any], why: str) -> None:
    """What the storage system says, with what to do."""
    found = growing(claim("2Gi", "1Gi", **status), 2 * GI)
    assert found is not None
    assert found.problem is not None
    assert found.problem.reason is Reason.CACHE_TOO_SMALL
    assert why in found.message
    assert "allowVolumeExpansion" in found.message


def test_in_progress_is_no_refusal() -> None:
    """Only Infeasible is an end."""
    going: dict[str, Any] = {"allocatedResourceStatuses": {"storage": "ControllerResizeInProgress"}}
    found = growing(claim("2Gi", "1Gi", **going), 2 * GI)
    assert found is not None
    assert found.problem is None


def test_a_pull_is_tried_again_when_there_is_more_room_than_it_had() -> None:
    """More than it had, or a file system that grows with the next mount."""
    assert outgrown(claim("2Gi", "2Gi"), pull())
    assert not outgrown(claim("2Gi", "1Gi"), pull())
    assert outgrown(claim("2Gi", "1Gi", **told("FileSystemResizePending")), pull())
    assert not outgrown(claim("1Gi", "1Gi", **told("FileSystemResizePending")), pull())
    assert outgrown(claim("2Gi", "2Gi"), pull(missing=0))
    assert not outgrown(claim("2Gi", "2Gi"), pull(had=0))
    assert not outgrown(claim("2Gi", "2Gi"), pull(state=JobState.RUNNING))
    assert not outgrown(claim("2Gi", "2Gi"), None)
    assert not outgrown(claim("2Gi", "2Gi"), pull(reason=Reason.PULL_FAILED))


def test_a_claim_that_was_deleted_to_have_a_larger_one() -> None:
    """Nobody waits for a volume that comes only once a pod wants it."""
    assert outgrown(None, pull())
    assert outgrown(claim("2Gi"), pull())
    assert not outgrown(claim("1Gi"), pull())


def test_what_a_pull_lacked_is_added_to_what_it_had() -> None:
    """With a tenth more; asked again after it was granted, the answer is the same."""
    assert room_for(settings_of(), claim("1Gi", "1Gi"), pull()) == GI + GI * 11 // 10
    assert room_for(settings_of(), claim("1Gi", "1Gi"), None) == 0
    assert room_for(settings_of(runner={"cache": {"size": "1Gi"}}), claim("1Gi"), pull()) == 0


def test_a_volume_that_was_full_in_the_middle_of_a_file() -> None:
    """How much it lacks is not known: half as much again, and a tiny one a step that helps."""
    assert room_for(settings_of(), claim("1Gi"), pull(missing=0)) == GI * 3 // 2
    small = pull(missing=0, had=64 * 2**20)
    assert room_for(settings_of(), claim("64Mi"), small) == (64 + 256) * 2**20


def test_a_claim_does_not_grow_for_ever() -> None:
    """After a few times something else is wrong, and people are told the numbers."""
    grown = claim("1Gi", "1Gi", times=GROWTHS - 1)
    assert room_for(settings_of(), grown, pull()) > 0
    assert too_small(settings_of(), grown, pull()) is None
    grown = claim("1Gi", "1Gi", times=GROWTHS)
    assert room_for(settings_of(), grown, pull()) == 0
    found = too_small(settings_of(), grown, pull())
    assert found is not None
    assert found.reason is Reason.CACHE_TOO_SMALL
    assert found.message.startswith("too full. Mend: PersistentVolumeClaim model-cache-")
    assert f"has grown {GROWTHS} times, to 1.0 GiB" in found.message
    assert "spec.cache.size of ModelRunner gpu to 2151Mi" in found.message


def test_a_growth_is_counted_once() -> None:
    """Asked again after it was granted, it is no other one; nobody's scribble is a number."""
    assert growths_with(claim("1Gi"), 2 * GI) == 1
    assert growths_with(claim("2Gi", times=1), 2 * GI) == 1
    assert growths_with(claim("2Gi", times=1), 3 * GI) == 2
    assert growths_with(None, 2 * GI) == 0
    scribbled = {"metadata": {"annotations": {GROWN_ANNOTATION: "many"}}}
    assert growths_with(scribbled, 0) == 0


def test_a_size_that_was_set_is_for_a_person_to_raise() -> None:
    """The message says to what; an automatic size has no such problem."""
    found = too_small(settings_of(runner={"cache": {"size": "1Gi"}}), claim("1Gi"), pull())
    assert found is not None
    assert found.message.startswith("too full. Mend: raise spec.cache.size of ModelRunner gpu")
    assert "to 2151Mi" in found.message
    assert too_small(settings_of(), claim("1Gi"), pull()) is None


def test_the_servers_no() -> None:
    """It is about the size only where more is asked for."""
    found = not_grown(claim("1Gi"), claim("2Gi"), "no.")
    assert found is not None
    assert (
        "is 1.0 GiB and is to be 2.0 GiB, but the API server does not let it grow: no. Mend:"
        in (found.message)
    )
    assert not_grown(claim("1Gi"), claim("1Gi"), "no") is None


def test_what_a_job_will_have() -> None:
    """A volume may be larger than asked for, or about to grow."""
    assert size_for_job(claim("1Gi", "2Gi")) == 2 * GI
    assert size_for_job(claim("2Gi", "1Gi")) == 2 * GI
    assert size_for_job(None) == 0
