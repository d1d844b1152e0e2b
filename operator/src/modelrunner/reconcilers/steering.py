"""From what was observed of a Model's runners to how many there should be. Pure but for `recall`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from modelrunner.api.v1alpha1.values import ConditionType
from modelrunner.domain.conditions import find
from modelrunner.domain.fleet import Fleet, muster
from modelrunner.domain.naming import INPUTS_ANNOTATION, VOLUMES_ANNOTATION
from modelrunner.domain.objects import (
    Object,
    annotation,
    being_deleted,
    controller_uid,
    dig,
    uid_of,
)
from modelrunner.domain.problem import Problem
from modelrunner.domain.scaling import KEEP, Course, Keep
from modelrunner.domain.usage import Usage, gateway_status, usage_of, with_usage
from modelrunner.domain.volumes import Reach
from modelrunner.domain.volumes_limit import (
    Limit,
    held_up,
    limited,
    recalled,
    review,
    steered,
)
from modelrunner.reconcilers.ledger import Record
from modelrunner.reconcilers.observation import Observation
from modelrunner.reconcilers.plan import Scaling

_STAY: Final = Course(KEEP)
_GATEWAY: Final = ("activation", "limits")
_SEAL: Final = (INPUTS_ANNOTATION, VOLUMES_ANNOTATION)


def fleet_of(seen: Observation) -> Fleet | None:
    """The runners of a Model; None where there is no Deployment of its own."""
    found = seen.deployment
    if found is None or being_deleted(found) or controller_uid(found) != uid_of(seen.model):
        return None
    return muster(found, seen.pods, seen.statuses, doorless=seen.doorless)


def recall(seen: Observation, record: Record) -> Observation:
    """The observation with what is remembered; what is new in it is remembered, too."""
    seen = replace(
        seen, doorless=frozenset(record.doorless), used=record.used, written_at=record.written_at
    )
    fleet = fleet_of(seen)
    if fleet is not None and fleet.known:
        record.demand = record.demand.seen(seen.now, fleet.load)
    record.used = _usage(seen, fleet).last_used
    record.doorless &= {runner.uid for runner in fleet.runners} if fleet is not None else set()
    return replace(seen, demand=record.demand, used=record.used, limit=_limit(seen, fleet, record))


def _limit(seen: Observation, fleet: Fleet | None, record: Record) -> Limit | None:
    """How many runners the volume carries, as far as it is known now; remembered."""
    if seen.settings is None:
        return record.limit
    scaling = seen.settings.scaling
    parts = (annotation(seen.deployment or {}, name) for name in _SEAL)
    seal = " ".join((*parts, repr(scaling)))
    told = find(dig(seen.model, "status"), ConditionType.REPLICAS_LIMITED)
    if not record.looked and told is not None:
        record.limit = recalled(fleet, scaling, seal=seal, now=seen.now)
    record.looked = True
    record.limit = review(record.limit, fleet, scaling, reach=seen.reach, seal=seal, now=seen.now)
    return record.limit


def limited_by(seen: Observation, claims: Sequence[str]) -> Problem | None:
    """What the condition ReplicasLimited says; None: it is not there."""
    if seen.settings is None or being_deleted(seen.model):
        return None
    return limited(
        seen.settings, fleet_of(seen), seen.limit, claims, reach=seen.reach, now=seen.now
    )


def steer(seen: Observation, *, changing: bool) -> Course:
    """What to do about the number of runners.

    Args:
        seen: everything that was observed.
        changing: whether this very pass writes the Deployment, so that its version is no longer
            the one that was looked at.
    """
    settings, fleet = seen.settings, fleet_of(seen)
    if settings is None or fleet is None or seen.problem is not None or changing:
        return _STAY
    if being_deleted(seen.model):
        return _STAY
    return steered(
        fleet,
        settings.scaling,
        settings.keep_alive,
        seen.demand,
        seen.limit,
        reach=seen.reach,
        now=seen.now,
    )


def scaling_of(seen: Observation, course: Course) -> Scaling | None:
    """The step that a course asks for."""
    fleet, action = fleet_of(seen), course.action
    if fleet is None or isinstance(action, Keep):
        return None
    return Scaling(fleet.name, fleet.version, fleet.replicas, action)


def with_use(seen: Observation, status: Mapping[str, Any]) -> dict[str, Any]:
    """A status with what the gateway reads in it, and with the fields of use."""
    old: Mapping[str, Any] = dig(seen.model, "status") or {}
    if seen.settings is not None:
        more = gateway_status(seen.settings.gateway)
    else:
        more = {name: old[name] for name in _GATEWAY if name in old}
    return with_usage(
        {**status, **more},
        old,
        _usage(seen, fleet_of(seen)),
        now=seen.now,
        written_at=seen.written_at,
    )


def visible(seen: Observation) -> list[Object]:
    """The pods that speak for the Model: not one that is being drained, unless it is alone.

    Nor one that finds no place beside those that run: a condition of its own tells of that.
    """
    fleet = fleet_of(seen)
    runners = fleet.runners if fleet is not None else ()
    silent = {runner.uid for runner in runners if runner.closed}
    if seen.reach is not Reach.ANYWHERE:
        silent |= {runner.uid for runner in held_up(fleet)}
    return [pod for pod in seen.pods if uid_of(pod) not in silent] or list(seen.pods)


def _usage(seen: Observation, fleet: Fleet | None) -> Usage:
    if seen.settings is None:
        return Usage(last_used=seen.used)
    settings = seen.settings
    return usage_of(fleet, settings.scaling, settings.keep_alive, before=seen.used, now=seen.now)
