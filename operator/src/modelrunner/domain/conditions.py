"""Conditions as kstatus and Argo CD read them (DESIGN §3).

`Ready` and `Cached` are normal-true. `Reconciling` and `Stalled` are abnormal-true, exclude one
another and are absent when all is well; so are `NameConflict` and `ReplicasLimited`, which touch none of the others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from modelrunner.api.v1alpha1.values import ConditionType
from modelrunner.domain.objects import Object, format_time, items, text
from modelrunner_protocol.reasons import Reason

MESSAGE_LIMIT: Final = 4096
"""Characters of a message; the API's schema allows 32768, but nobody reads them."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one condition says; `holds` None is Unknown."""

    kind: ConditionType
    holds: bool | None
    reason: Reason
    message: str


def ready(reason: Reason, message: str) -> Verdict:
    """Ready=True."""
    return Verdict(ConditionType.READY, holds=True, reason=reason, message=message)


def not_ready(reason: Reason, message: str) -> Verdict:
    """Ready=False."""
    return Verdict(ConditionType.READY, holds=False, reason=reason, message=message)


def cached(message: str) -> Verdict:
    """Cached=True."""
    return Verdict(ConditionType.CACHED, holds=True, reason=Reason.CACHED, message=message)


def not_cached(reason: Reason, message: str) -> Verdict:
    """Cached=False."""
    return Verdict(ConditionType.CACHED, holds=False, reason=reason, message=message)


def reconciling(reason: Reason, message: str) -> Verdict:
    """Work goes on and nobody has to act."""
    return Verdict(ConditionType.RECONCILING, holds=True, reason=reason, message=message)


def stalled(reason: Reason, message: str) -> Verdict:
    """Somebody has to act."""
    return Verdict(ConditionType.STALLED, holds=True, reason=reason, message=message)


def name_conflict(reason: Reason, message: str) -> Verdict:
    """Somebody else has a name of this Model."""
    return Verdict(ConditionType.NAME_CONFLICT, holds=True, reason=reason, message=message)


def replicas_limited(reason: Reason, message: str) -> Verdict:
    """Fewer runners run than are wanted."""
    return Verdict(ConditionType.REPLICAS_LIMITED, holds=True, reason=reason, message=message)


def merge(
    old: Iterable[Object], verdicts: Sequence[Verdict], *, generation: int, now: float
) -> list[dict[str, Any]]:
    """The condition list to store; lastTransitionTime moves only when a status changes."""
    before = {text(found, "type"): found for found in old}
    return [_one(before.get(v.kind), v, generation, now) for v in verdicts]


def find(status: Object | None, kind: ConditionType) -> Object | None:
    """The condition of that type in a stored status."""
    for found in items(status, "conditions"):
        if found.get("type") == kind:
            return found
    return None


def _one(old: Object | None, verdict: Verdict, generation: int, now: float) -> dict[str, Any]:
    status = {True: "True", False: "False", None: "Unknown"}[verdict.holds]
    since = text(old, "lastTransitionTime") if old and old.get("status") == status else ""
    return {
        "type": str(verdict.kind),
        "status": status,
        "observedGeneration": generation,
        "lastTransitionTime": since or format_time(now),
        "reason": str(verdict.reason),
        "message": shorten(verdict.message),
    }


def shorten(message: str, limit: int = MESSAGE_LIMIT) -> str:
    """At most `limit` characters, with both ends kept: the cause is at one of them."""
    if len(message) <= limit:
        return message
    half = (limit - 3) // 2
    return f"{message[:half]} … {message[-half:]}"
