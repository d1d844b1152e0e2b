"""Claims that are too small for what they are to hold: how large they are to be, and the wait.

Whether a claim may grow is for its StorageClass to say. The operator does not read those: it asks
for more, and tells what the API server says. A pull that says how much it lacks gets that; one whose
volume was full in the middle of a file gets half as much again. A claim that has grown a few times
and still is too small has another trouble, and is left to people.
"""

from dataclasses import dataclass
from typing import Final

from modelrunner.api.text import format_size
from modelrunner.domain.effective import Effective
from modelrunner.domain.jobs import JobState, JobView
from modelrunner.domain.naming import GROWN_ANNOTATION, claim_name
from modelrunner.domain.objects import Object, annotation, condition, dig, is_true, name_of, text
from modelrunner.domain.problem import Problem
from modelrunner.domain.quantities import MIB, parse_quantity
from modelrunner_protocol.reasons import Reason

FOR_THE_CLASS: Final = (
    "let its StorageClass grow claims (allowVolumeExpansion), or delete the claim to have a new one"
    " made, which pulls again (cache.size is then its size)"
)
GROWTHS: Final = 4
"""How often a claim grows by itself for one pull."""

_LEAST_STEP: Final = 256 * MIB
_PENDING: Final = "FileSystemResizePending"
_ERRORS: Final = ("ControllerResizeError", "NodeResizeError")


@dataclass(frozen=True, slots=True)
class Growing:
    """A claim that has not the size yet that it asks for. `problem`: why it does not get it."""

    message: str
    problem: Problem | None


def asked_bytes(claim: Object | None) -> int:
    """What a claim asks for; 0 without a claim."""
    return _bytes(text(claim, "spec", "resources", "requests", "storage"))


def given_bytes(claim: Object | None) -> int:
    """What a claim has got; 0 while it has no volume."""
    return _bytes(text(claim, "status", "capacity", "storage"))


def size_for_job(claim: Object | None) -> int:
    """What a Job that starts now will have: a volume that is to grow does so when it is mounted."""
    return max(asked_bytes(claim), given_bytes(claim))


def growths(claim: Object | None) -> int:
    """How often a claim has grown for the pull that fills it."""
    told = annotation(claim, GROWN_ANNOTATION) if claim is not None else ""
    return int(told) if told.isdecimal() and len(told) < 4 else 0


def growths_with(claim: Object | None, at_least: int) -> int:
    """The same once it asks for `at_least` bytes: a wish that it has already is none."""
    return growths(claim) + (1 if 0 < asked_bytes(claim) < at_least else 0)


def growing(claim: Object | None, needed: int, why_more: str = "") -> Growing | None:
    """The wait for a volume that is asked to grow; None where none is needed, or none helps.

    `why_more`: what the pull said that found it too small.
    """
    given, asked = given_bytes(claim), asked_bytes(claim)
    if claim is None or given == 0 or given >= needed:
        return None
    if is_true(claim, _PENDING) and asked >= needed:
        # Its file system grows when a pod mounts it.
        return None
    name = name_of(claim)
    sizes = f"from {format_size(given)} to {format_size(max(asked, needed))}"
    why = _refusal(claim)
    if not why:
        after = f": {why_more}" if why_more else ""
        return Growing(f"waiting for PersistentVolumeClaim {name} to grow {sizes}{after}", None)
    message = f"PersistentVolumeClaim {name} does not grow {sizes}: {why}. Mend: {FOR_THE_CLASS}"
    return Growing(message, Problem(Reason.CACHE_TOO_SMALL, message))


def not_grown(claim: Object, wanted: Object, said: str) -> Problem | None:
    """The server does not let a claim become `wanted`; None where that is not about its size."""
    has, wants = asked_bytes(claim), asked_bytes(wanted)
    if wants <= has:
        return None
    return Problem(
        Reason.CACHE_TOO_SMALL,
        f"PersistentVolumeClaim {name_of(claim)} is {format_size(has)} and is to be"
        f" {format_size(wants)}, but the API server does not let it grow: {said.rstrip('.')}. Mend:"
        f" {FOR_THE_CLASS}",
    )


def outgrown(claim: Object | None, pull: JobView | None) -> bool:
    """Whether a pull has failed for want of room that there is now.

    A claim without a volume gets one of the size that it asks for, once a pod wants it.
    """
    pull = _short_of_room(pull)
    if pull is None:
        return False
    if claim is None:
        return True
    if (given_bytes(claim) or asked_bytes(claim)) > pull.had_bytes:
        return True
    return is_true(claim, _PENDING) and asked_bytes(claim) > pull.had_bytes


def room_for(effective: Effective, claim: Object | None, pull: JobView | None) -> int:
    """Bytes that a claim of automatic size has to have after a pull that found it too small.

    0: it is large enough as far as anybody knows, or has grown often enough.
    """
    pull = _short_of_room(pull)
    if pull is None or effective.cache.size is not None:
        return 0
    room = _with_room(pull)
    return 0 if growths_with(claim, room) > GROWTHS else room


def too_small(effective: Effective, claim: Object | None, pull: JobView | None) -> Problem | None:
    """A claim that does not grow by itself (any more), and a pull that found it too small."""
    pull = _short_of_room(pull)
    if pull is None or room_for(effective, claim, pull):
        return None
    size = f"{-(-_with_room(pull) // MIB)}Mi"
    name = claim_name(effective.key)
    if effective.cache.size is not None:
        mend = (
            f"raise spec.cache.size of ModelRunner {effective.runner} to {size}, and"
            f" PersistentVolumeClaim {name} grows to it where its StorageClass allows that"
        )
    else:
        mend = (
            f"PersistentVolumeClaim {name} has grown {growths(claim)} times, to"
            f" {format_size(asked_bytes(claim))}, and does not grow further by itself: see what else"
            " fills its volume, free space on it and delete the pull Job to try again, or set"
            f" spec.cache.size of ModelRunner {effective.runner} to {size}"
        )
    return Problem(Reason.CACHE_TOO_SMALL, f"{lacking(pull)}. Mend: {mend}")


def lacking(pull: JobView | None) -> str:
    """What a pull said that found too little room: needed, free; "" of any other."""
    pull = _short_of_room(pull)
    if pull is None or pull.problem is None:
        return ""
    return pull.problem.message.partition(". Trying")[0].rstrip(".")


def _short_of_room(pull: JobView | None) -> JobView | None:
    """The pull, if that is what it has failed for."""
    if pull is None or pull.state is not JobState.FAILED or pull.had_bytes <= 0:
        return None
    reason = pull.outcome.reason if pull.outcome is not None else None
    return pull if reason is Reason.CACHE_TOO_SMALL else None


def _with_room(pull: JobView) -> int:
    """What it had and a tenth more than it lacked; half as much again where it cannot tell."""
    lacked = pull.missing_bytes * 11 // 10 or max(pull.had_bytes // 2, _LEAST_STEP)
    return pull.had_bytes + lacked


def _refusal(claim: Object) -> str:
    for kind in _ERRORS:
        if is_true(claim, kind):
            return text(condition(claim, kind), "message").rstrip(".") or kind
    told = dig(claim, "status", "allocatedResourceStatuses")
    state = text(told, "storage")
    return f"the storage system says {state}" if state.endswith("Infeasible") else ""


def _bytes(quantity: str) -> int:
    try:
        return int(parse_quantity(quantity))
    except ValueError:
        return 0
