"""When to look at a Model again although no watch has told anything."""

from typing import Final

from modelrunner.domain.conflicts import left_over
from modelrunner.domain.decision import Decision, World
from modelrunner.domain.objects import Object, being_deleted, created_at, text, uid_of
from modelrunner.domain.pods import address
from modelrunner.domain.scheduling import binding_wait, is_scheduled
from modelrunner.reconcilers.mounting import claim_problem
from modelrunner.reconcilers.observation import JobAndPods, Observation
from modelrunner_protocol.reasons import Reason

GONE_SOON: Final = 2.0
"""Seconds until an object that is being deleted is looked for again."""

NEIGHBOURS: Final = 60.0
"""Seconds after which a conflict is looked at again: nobody watches strangers' objects."""

CLAIMS: Final = 15.0
"""Seconds after which a claim is looked for again that users have to make."""

REFUSED: Final = 300.0
"""Seconds after which the API server is offered again what it has refused."""

NO_POD: Final = 2.0
"""Seconds after which it is asked why a new Job has no pod."""

_REFUSABLE: Final = frozenset({Reason.INVALID_CONFIGURATION, Reason.CACHE_TOO_SMALL})
_HINTS: Final = 20.0
_FAST_PULL: Final = 2.0
_SLOW_PULL: Final = 5.0
# Age of a pod in seconds, and how often it is asked below that age.
_STARTING: Final = ((30.0, 0.5), (120.0, 1.0), (600.0, 2.0))
_SLOW_START: Final = 5.0


def look_again(seen: Observation, world: World, decision: Decision) -> float | None:
    """Seconds until the next look, None at rest."""
    if world.terminating:
        return None
    waits = [
        _neighbours(seen, decision),
        CLAIMS if seen.problem is None and claim_problem(seen) is not None else None,
        _retry(seen, decision),
        _leaving(seen),
        _job(seen, seen.resolve, progress=False),
        _job(seen, seen.pull, progress=True),
        _job(seen, seen.verify, progress=False),
        _job(seen, seen.refresh, progress=False),
        _starting(seen, world),
    ]
    found = [seconds for seconds in waits if seconds is not None]
    return max(0.1, min(found)) if found else None


def _neighbours(seen: Observation, decision: Decision) -> float | None:
    reason = decision.headline.reason
    if reason is Reason.NAME_CONFLICT:
        return NEIGHBOURS
    refused = seen.settings is not None and reason in _REFUSABLE
    return REFUSED if refused else None


def _retry(seen: Observation, decision: Decision) -> float | None:
    at = decision.headline.retry_at
    return None if at is None else at - seen.now


def _leaving(seen: Observation) -> float | None:
    uid = uid_of(seen.model)
    mine: tuple[Object | None, ...] = (seen.deployment, seen.service)
    if seen.problem is None and any(left_over(obj, uid=uid) for obj in mine):
        return GONE_SOON
    going = (*mine, seen.claim, *(one.job for one in (seen.resolve, seen.pull) if one is not None))
    return GONE_SOON if any(obj is not None and being_deleted(obj) for obj in going) else None


def _job(seen: Observation, found: JobAndPods | None, *, progress: bool) -> float | None:
    if found is None:
        return None
    pod = max(found.pods, key=created_at, default=None)
    if pod is None:
        age = seen.now - created_at(found.job)
        # Nobody tells that a pod is not let in.
        return NO_POD if age < 5 * NO_POD else _HINTS if age < 2 * _HINTS else None
    if text(pod, "status", "phase") in {"Succeeded", "Failed"}:
        return None
    if progress and address(pod):
        return _FAST_PULL if seen.now - created_at(pod) < 60 else _SLOW_PULL
    return binding_wait(pod, now=seen.now) or _hint(seen, pod)


def _starting(seen: Observation, world: World) -> float | None:
    pod = world.pods.newest
    if pod is None or world.pods.newest_ready:
        return None
    if not address(pod):
        return binding_wait(pod, now=seen.now) or _hint(seen, pod)
    age = seen.now - created_at(pod)
    return next((every for below, every in _STARTING if age < below), _SLOW_START)


def _hint(seen: Observation, pod: Object) -> float | None:
    young = seen.now - created_at(pod) < 4 * _HINTS
    return _HINTS if is_scheduled(pod) and young else None
