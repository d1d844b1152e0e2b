"""From what was observed of a Model's runners to how many there should be. Pure but for `recall`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from modelrunner.domain.fleet import Fleet, muster
from modelrunner.domain.objects import (
    Object,
    being_deleted,
    controller_uid,
    dig,
    uid_of,
)
from modelrunner.domain.scaling import KEEP, Course, Keep, decide
from modelrunner.domain.usage import Usage, gateway_status, usage_of, with_usage
from modelrunner.reconcilers.ledger import Record
from modelrunner.reconcilers.observation import Observation
from modelrunner.reconcilers.plan import Scaling

_STAY: Final = Course(KEEP)
_GATEWAY: Final = ("activation", "limits")


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
    return replace(seen, demand=record.demand, used=record.used)


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
    return decide(fleet, settings.scaling, settings.keep_alive, seen.demand, now=seen.now)


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
    """The pods that speak for the Model: not one that is being drained, unless it is alone."""
    fleet = fleet_of(seen)
    runners = fleet.runners if fleet is not None else ()
    closed = {runner.uid for runner in runners if runner.closed}
    return [pod for pod in seen.pods if uid_of(pod) not in closed] or list(seen.pods)


def _usage(seen: Observation, fleet: Fleet | None) -> Usage:
    if seen.settings is None:
        return Usage(last_used=seen.used)
    settings = seen.settings
    return usage_of(fleet, settings.scaling, settings.keep_alive, before=seen.used, now=seen.now)
