"""How many runners a volume carries that one node alone can mount. Pure.

A further runner has to run where the volume is. When that node has no room for it, it waits for
ever and nobody can mend that with another node. So the runners that wait are taken back, the
number is remembered, and it is tried again now and then, each time after a longer while.

    held up for a while ──▶ limit = those that run ──▶ retried once ──▶ limit again, or gone
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from modelrunner.domain.effective import Effective, ScalingSettings
from modelrunner.domain.fleet import Fleet, Runner
from modelrunner.domain.problem import Problem
from modelrunner.domain.scaling import DRAINING, Course, Demand, Retire, Sleep, decide
from modelrunner.domain.volumes import Reach
from modelrunner_protocol.reasons import Reason

PATIENCE: Final = 30.0
"""Seconds for which the scheduler may find no place before that counts."""

HANGING: Final = 90.0
"""The same for a pod whose volume does not come to another node (Multi-Attach)."""

RETRY: Final = 600.0
"""Seconds until one more runner is tried; each further time twice as long."""

LONGEST: Final = 14_400.0
TRIAL: Final = 180.0
"""Seconds that a trial may take; so long the condition stays, and does not flap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What was found out. Times are seconds since the epoch.

    `runs` found room on `node`, where `wanted` were to. `tries`: how often that was found in a
    row. `seal`: under which settings; others may have another limit.
    """

    runs: int
    wanted: int
    node: str
    retry_at: float
    seal: str = ""
    tries: int = 1

    def binds(self, now: float) -> bool:
        """Whether no more are tried now."""
        return now < self.retry_at

    def told(self, now: float) -> bool:
        """Whether it is known, or being tried, that no more fit."""
        return now < self.retry_at + TRIAL


def held_up(fleet: Fleet | None) -> list[Runner]:
    """The runners that find no place beside those that run."""
    if fleet is None or not fleet.stable:
        return []
    nodes = {runner.node for runner in fleet.started}
    if not nodes:
        return []
    return [
        runner
        for runner in fleet.runners
        if not runner.ip and runner.held_since is not None and runner.node not in nodes
    ]


def review(
    limit: Limit | None,
    fleet: Fleet | None,
    scaling: ScalingSettings,
    *,
    reach: Reach,
    seal: str,
    now: float,
) -> Limit | None:
    """What is known of the limit after a look at the runners.

    Args:
        limit: what was known before.
        fleet: the runners; None: there is no Deployment.
        scaling: the bounds that users set.
        reach: from where the runners' claims can be mounted.
        seal: stands for the settings; with another one, nothing is known.
        now: seconds since the epoch.
    """
    if reach is not Reach.NODE or fleet is None:
        return None
    if limit is not None and (limit.seal != seal or now >= limit.retry_at + LONGEST):
        limit = None
    if not fleet.stable:
        return limit
    nodes = {runner.node for runner in fleet.started}
    if limit is not None and (len(fleet.started) > limit.runs or nodes - {limit.node}):
        # More run than was thought, or the volume has come to another node.
        limit = None
    waiting = held_up(fleet)
    if not any(_overdue(runner, now) for runner in waiting):
        return limit
    runs = max(1, len(fleet.runners) - len(waiting))
    if limit is not None and limit.binds(now):
        return replace(limit, runs=min(runs, limit.runs))
    tries = limit.tries + 1 if limit is not None else 1
    return Limit(
        runs=runs,
        wanted=max(fleet.replicas, scaling.min_replicas, limit.wanted if limit else 0),
        node=min(nodes),
        retry_at=now + min(RETRY * 2.0 ** min(tries - 1, 10), LONGEST),
        seal=seal,
        tries=tries,
    )


def recalled(
    fleet: Fleet | None, scaling: ScalingSettings, *, seal: str, now: float
) -> Limit | None:
    """What a new process makes of a condition that the one before it left: it tries later."""
    if fleet is None or not fleet.started:
        return None
    return Limit(
        runs=len(fleet.started),
        wanted=max(scaling.min_replicas, len(fleet.started) + 1),
        node=min(runner.node for runner in fleet.started),
        retry_at=now + RETRY,
        seal=seal,
    )


def bounded(
    scaling: ScalingSettings, limit: Limit | None, *, reach: Reach, now: float
) -> ScalingSettings:
    """The bounds that count now: under a limit, and one more when it is to be tried again."""
    if reach is Reach.POD:
        most = 1
    elif reach is Reach.NODE and limit is not None:
        most = limit.runs if limit.binds(now) else limit.runs + 1
    else:
        return scaling
    return replace(
        scaling,
        min_replicas=min(scaling.min_replicas, most),
        max_replicas=max(1, min(scaling.max_replicas, most)),
    )


def steered(
    fleet: Fleet,
    scaling: ScalingSettings,
    keep_alive: float,
    demand: Demand,
    limit: Limit | None,
    *,
    reach: Reach,
    now: float,
) -> Course:
    """What to do about the number of runners, as `scaling.decide` has it, on such a volume."""
    bounds = bounded(scaling, limit, reach=reach, now=now)
    found = decide(fleet, bounds, keep_alive, demand, now=now)
    if isinstance(found.action, Sleep) or reach is not Reach.NODE:
        return found
    waiting = held_up(fleet)
    # What others have added (kubectl scale, an autoscaler) is theirs to take away.
    ours = scaling.elastic or fleet.replicas <= scaling.min_replicas
    bound = limit if limit is not None and limit.binds(now) else None
    if waiting and ours and bound is not None and fleet.replicas > bound.runs:
        why = f"node {bound.node}, which alone can mount the cache volume, has no room for it"
        return Course(Retire(waiting[-1], fleet.replicas - 1, why), DRAINING)
    return Course(found.action, _sooner(found.look_after, _next_look(waiting, limit, now)))


def limited(
    effective: Effective,
    fleet: Fleet | None,
    limit: Limit | None,
    claims: Sequence[str],
    *,
    reach: Reach,
    now: float,
) -> Problem | None:
    """What the condition ReplicasLimited says; None: it is not there."""
    volume = " and ".join(f"PersistentVolumeClaim {claim}" for claim in claims)
    if reach is Reach.POD:
        wanted = max(effective.scaling.max_replicas, fleet.replicas if fleet else 0)
        if wanted < 2:
            return None
        said = (
            f"{wanted} runners may be wanted and 1 can run: {volume} is ReadWriteOncePod, which one"
            " pod at a time can mount"
        )
    elif reach is Reach.NODE and limit is not None and limit.told(now):
        said = (
            f"{limit.wanted} runners are wanted and {limit.runs}"
            f" run{'s' if limit.runs == 1 else ''}: {volume} can be mounted on one node at a time"
            f" (ReadWriteOnce), and node {limit.node} has no room for more"
        )
    else:
        return None
    return Problem(Reason.SINGLE_NODE_VOLUME, f"{said}. Mend: {_mend(effective)}")


def _mend(effective: Effective) -> str:
    less = ", or lower minReplicas and maxReplicas"
    if effective.in_place or effective.cache.existing_claim is not None:
        return f"use a claim that offers ReadWriteMany or ReadOnlyMany{less}"
    return (
        f"set spec.cache.accessMode of ModelRunner {effective.runner} to ReadWriteMany with a storage"
        f" class that offers it and delete the claim, which pulls the weights again{less}"
    )


def _overdue(runner: Runner, now: float) -> bool:
    since = runner.held_since
    return since is not None and now - since >= (HANGING if runner.node else PATIENCE)


def _next_look(waiting: Sequence[Runner], limit: Limit | None, now: float) -> float | None:
    """Seconds until something of this module is due."""
    due = [
        runner.held_since + (HANGING if runner.node else PATIENCE)
        for runner in waiting
        if runner.held_since is not None
    ]
    if limit is not None:
        due += [limit.retry_at, limit.retry_at + TRIAL]
    return min((max(1.0, at - now) for at in due if at > now), default=None)


def _sooner(one: float | None, other: float | None) -> float | None:
    return min((wait for wait in (one, other) if wait is not None), default=None)
