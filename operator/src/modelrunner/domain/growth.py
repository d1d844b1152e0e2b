"""Claims that are too small for what they are to hold: how large they are to be, and the wait.

Whether a claim may grow is for its StorageClass to say. The operator does not read those: it asks
for more, and tells what the API server says.
"""

from dataclasses import dataclass
from typing import Final

from modelrunner.api.text import format_size
from modelrunner.domain.effective import Effective
from modelrunner.domain.jobs import JobState, JobView
from modelrunner.domain.naming import claim_name
from modelrunner.domain.objects import Object, condition, dig, is_true, name_of, text
from modelrunner.domain.problem import Problem
from modelrunner.domain.quantities import MIB, parse_quantity
from modelrunner_protocol.reasons import Reason

FOR_THE_CLASS: Final = (
    "let its StorageClass grow claims (allowVolumeExpansion), or delete the claim to have a new one"
    " made, which pulls again (cache.size is then its size)"
)
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


def growing(claim: Object | None, needed: int) -> Growing | None:
    """The wait for a volume that is asked to grow; None where none is needed, or none helps."""
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
        return Growing(f"waiting for PersistentVolumeClaim {name} to grow {sizes}", None)
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
    """Whether a pull has failed for want of room that there is now."""
    pull = _short_of_room(pull)
    if pull is None or claim is None:
        return False
    now = given_bytes(claim)
    return now > pull.had_bytes or (
        is_true(claim, _PENDING) and asked_bytes(claim) > pull.had_bytes
    )


def room_for(effective: Effective, pull: JobView | None) -> int:
    """Bytes that a claim of automatic size has to have after a pull that found it too small."""
    pull = _short_of_room(pull)
    if pull is None or effective.cache.size is not None:
        return 0
    return _with_room(pull)


def too_small(effective: Effective, pull: JobView | None) -> Problem | None:
    """A claim of a size that somebody has set, and a pull that found it too small."""
    pull = _short_of_room(pull)
    if pull is None or effective.cache.size is None:
        return None
    size = f"{-(-_with_room(pull) // MIB)}Mi"
    why = pull.problem.message.partition(". Trying")[0].rstrip(".") if pull.problem else ""
    return Problem(
        Reason.CACHE_TOO_SMALL,
        f"{why}. Mend: raise spec.cache.size of ModelRunner {effective.runner} to {size}, and"
        f" PersistentVolumeClaim {claim_name(effective.key)} grows to it where its StorageClass"
        " allows that",
    )


def _short_of_room(pull: JobView | None) -> JobView | None:
    """The pull, if that is what it has failed for."""
    if pull is None or pull.state is not JobState.FAILED:
        return None
    return pull if pull.missing_bytes > 0 and pull.had_bytes > 0 else None


def _with_room(pull: JobView) -> int:
    return pull.had_bytes + pull.missing_bytes * 11 // 10


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
