"""What the status says of a Model's use, and how rarely it is written.

Use changes all the time; a write for each change would be a storm. So these fields are brought
up to date with any other write, and for themselves at most once a minute.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelrunner.domain.effective import GatewaySettings, ScalingSettings
from modelrunner.domain.fleet import Fleet
from modelrunner.domain.objects import format_time, parse_time
from modelrunner.domain.scaling import idle_deadline

WRITE_EVERY: Final = 60.0
"""Seconds between two writes that tell nothing but use."""

FIELDS: Final = ("lastUsedTime", "idleDeadline")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """When a model was last used and may go to sleep. None: not known.

    `settled`: whether `deadline` None means that there is none.
    """

    last_used: float | None = None
    deadline: float | None = None
    settled: bool = False


def usage_of(
    fleet: Fleet | None,
    scaling: ScalingSettings,
    keep_alive: float,
    *,
    before: float | None,
    now: float,
) -> Usage:
    """The use of a fleet; `before` is the last use that was known, whatever has gone since."""
    if fleet is None:
        return Usage(last_used=before)
    told = [one.status.last_used_at for one in fleet.runners if one.status is not None]
    times = [min(at, now) for at in (*told, before) if at is not None]
    if any(one.status is not None and one.status.in_flight for one in fleet.runners):
        times.append(now)
    return Usage(
        last_used=max(times, default=None),
        deadline=idle_deadline(fleet, scaling, keep_alive, now),
        settled=fleet.replicas == 0 or not fleet.started or fleet.known,
    )


def with_usage(
    status: Mapping[str, Any],
    old: Mapping[str, Any],
    usage: Usage,
    *,
    now: float,
    written_at: float,
) -> dict[str, Any]:
    """A status with the fields of use in it: those of before, unless it is time for new ones.

    Args:
        status: the new one without them.
        old: the stored one.
        usage: what is known now.
        now: seconds since the epoch.
        written_at: when they were last written, or first looked at by this process.
    """
    kept = {name: old[name] for name in FIELDS if name in old}
    fresh = _fields(usage, kept)
    quiet = {name: value for name, value in old.items() if name not in FIELDS} == status
    if quiet and now - written_at < WRITE_EVERY:
        fresh = kept
    return {**status, **fresh}


def gateway_status(settings: GatewaySettings) -> dict[str, Any]:
    """`status.activation` and `status.limits`: the gateway has no right to read ModelRunners."""
    found = {
        "concurrentRequests": settings.concurrent_requests,
        "requestsPerMinute": settings.requests_per_minute,
    }
    limits = {name: value for name, value in found.items() if value is not None}
    activation = {"maxHeld": settings.max_held, "timeoutSeconds": settings.timeout}
    return {"activation": activation, **({"limits": limits} if limits else {})}


def _fields(usage: Usage, kept: Mapping[str, Any]) -> dict[str, Any]:
    fresh = dict(kept)
    stored = parse_time(str(kept.get("lastUsedTime", "")))
    # A runner that is new, or does not answer, has not unmade what was known of others.
    if usage.last_used is not None and (stored is None or int(usage.last_used) > stored):
        fresh["lastUsedTime"] = format_time(usage.last_used)
    if usage.deadline is not None:
        fresh["idleDeadline"] = format_time(usage.deadline)
    elif usage.settled:
        fresh.pop("idleDeadline", None)
    return fresh
