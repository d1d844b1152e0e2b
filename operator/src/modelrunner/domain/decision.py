"""The state of a Model: its conditions and phase, out of everything that was observed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from modelrunner.api.v1alpha1.values import ConditionType, Phase
from modelrunner.domain.cache import CacheDecision
from modelrunner.domain.conditions import (
    Verdict,
    name_conflict,
    not_ready,
    ready,
    reconciling,
    replicas_limited,
    stalled,
)
from modelrunner.domain.objects import Object, dig, name_of, number
from modelrunner.domain.pods import STARTING, PodsView, pod_problem, starting_message
from modelrunner.domain.problem import Problem
from modelrunner_protocol.reasons import PROGRESSING, Reason
from modelrunner_protocol.runner import RunnerStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What was observed of one Model.

    `problem` is what keeps the operator from doing anything (settings, names, a missing
    ModelRunner); what serves already goes on serving. `changing`: this very pass writes the
    Deployment, so what the old one looks like does not count as arrived. `lost_names`: requests
    with some of its names go to an older Model, which changes nothing else about it. `draft`: why
    its draft model has no weights yet. `newer`: what serves are weights that the source has moved
    away from. `limited`: why there are fewer runners than are wanted. `tied`: the claims that keep
    all runners on one node.
    """

    now: float
    endpoint: str
    problem: Problem | None
    cache: CacheDecision | None
    deployment: Object | None
    pods: PodsView
    runner_status: RunnerStatus | None = None
    changing: bool = False
    terminating: bool = False
    lost_names: Problem | None = None
    draft: Problem | None = None
    newer: bool = False
    limited: Problem | None = None
    tied: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """The conditions and the phase, and what they say in one `headline`."""

    verdicts: Sequence[Verdict]
    phase: Phase
    headline: Problem
    starting: bool


def decide(world: World) -> Decision:
    """Judge the whole: problems before progress, and what serves goes on serving."""
    decision = _decide(world)
    if world.terminating:
        return decision
    beside = []
    if world.lost_names is not None:
        beside.append(name_conflict(world.lost_names.reason, world.lost_names.message))
    if world.limited is not None:
        beside.append(replicas_limited(world.limited.reason, world.limited.message))
    return replace(decision, verdicts=[*decision.verdicts, *beside])


def _decide(world: World) -> Decision:
    if world.terminating:
        return _terminating(world)
    problem, progress = world.problem, None
    if problem is None and world.cache is not None:
        problem, progress = _cache_state(world.cache)
    if problem is None and progress is None:
        problem, progress = _draft_state(world.draft)
    if problem is None and progress is None:
        problem, progress = _pod_state(world)
    starting = progress is not None and progress.reason is Reason.STARTING
    head = problem or progress
    if asleep(world):
        sleep = Problem(Reason.SCALED_TO_ZERO, "no runner pod: the model is scaled to zero")
        return _served(world, sleep, Phase.IDLE, problem, progress, starting=False)
    if world.pods.ready:
        well = Problem(Reason.READY, f"the model answers at {world.endpoint}")
        return _served(world, well, Phase.READY, problem, progress, starting=starting)
    if head is None:
        head = Problem(Reason.STARTING, "waiting for a ready pod")
    verdicts = [not_ready(head.reason, head.message), _cached(world), _unrest(head)]
    return Decision(verdicts, _phase(head), head, starting or problem is not None)


def asleep(world: World) -> bool:
    """Whether the Deployment is meant to have no pods."""
    found = world.deployment
    return found is not None and dig(found, "spec", "replicas") == 0 and not world.changing


def rolling(deployment: Object) -> bool:
    """Whether the Deployment has not yet arrived where its spec wants it."""
    replicas = dig(deployment, "spec", "replicas")
    wanted = replicas if isinstance(replicas, int) else 1
    return (
        number(deployment, "status", "observedGeneration")
        < number(deployment, "metadata", "generation")
        or number(deployment, "status", "updatedReplicas") < wanted
        or number(deployment, "status", "replicas")
        > number(deployment, "status", "updatedReplicas")
    )


def _cache_state(cache: CacheDecision) -> tuple[Problem | None, Problem | None]:
    if cache.problem is not None:
        return cache.problem, None
    if cache.complete:
        return None, None
    return None, Problem(cache.verdict.reason, cache.verdict.message)


def _draft_state(found: Problem | None) -> tuple[Problem | None, Problem | None]:
    if found is not None and found.reason in PROGRESSING:
        return None, found
    return found, None


def _pod_state(world: World) -> tuple[Problem | None, Problem | None]:
    if world.deployment is None or world.changing:
        return None, Problem(Reason.STARTING, STARTING)
    if asleep(world):
        return None, None
    found = pod_problem(world.pods, world.deployment, world.runner_status, now=world.now)
    if found is not None:
        return _of_rollout(world, world.deployment, found), None
    if world.pods.newest_ready and not rolling(world.deployment):
        return None, None
    message = starting_message(world.pods, world.runner_status, now=world.now)
    return None, Problem(Reason.STARTING, message)


def _of_rollout(world: World, deployment: Object, found: Problem) -> Problem:
    """A new runner finds no room beside the former one, whose room it could have."""
    if found.reason is not Reason.UNSCHEDULABLE or not world.pods.ready or not rolling(deployment):
        return found
    where = " and ".join(f"PersistentVolumeClaim {claim}" for claim in world.tied)
    there = f", on the node of {where} (ReadWriteOnce)" if where else ""
    said = (
        f"{found.message.rstrip('.')}. A change of settings needs room for one more runner beside the"
        f" former one{there}, which goes on serving until then. Without that room:"
        f" `kubectl scale deployment {name_of(deployment)} --replicas=0` ends it first, and requests"
        " wait while the new one starts"
    )
    return replace(found, message=said)


def _served(
    world: World,
    well: Problem,
    phase: Phase,
    problem: Problem | None,
    progress: Problem | None,
    *,
    starting: bool,
) -> Decision:
    change = problem or progress
    if change is None:
        return Decision([ready(well.reason, well.message), _cached(world)], phase, well, starting)
    change = _of_newer(world, change)
    former = "weights" if world.newer else "settings"
    message = f"{well.message}, with its previous {former}"
    verdicts = [ready(well.reason, message), _cached(world), _unrest(change)]
    return Decision(verdicts, phase, change, starting)


def _of_newer(world: World, change: Problem) -> Problem:
    """What is wrong with weights that the source has only now: those before them had served."""
    if not world.newer or change.reason not in _FAULTS_OF_WEIGHTS:
        return change
    said = (
        f"a newer version of the weights cannot be used: {change.message.rstrip('.')}. Until a"
        " better one is published and looked up, the former one can be had back by naming its"
        " digest or commit in spec.source"
    )
    return replace(change, message=said)


def _cached(world: World) -> Verdict:
    if world.cache is not None:
        return world.cache.verdict
    why = world.problem or Problem(Reason.RESOLVING, "not looked at yet")
    return Verdict(ConditionType.CACHED, holds=None, reason=why.reason, message=why.message)


def _unrest(head: Problem) -> Verdict:
    if head.reason in PROGRESSING or head.retry_at is not None:
        return reconciling(head.reason, head.message)
    return stalled(head.reason, head.message)


def _terminating(world: World) -> Decision:
    message = "the Model is being deleted"
    head = Problem(Reason.TERMINATING, message)
    verdicts = [
        not_ready(Reason.TERMINATING, message),
        _cached(world),
        reconciling(Reason.TERMINATING, message),
    ]
    return Decision(verdicts, Phase.TERMINATING, head, starting=False)


_FAULTS_OF_WEIGHTS = frozenset(
    {
        Reason.UNSUPPORTED_FORMAT,
        Reason.PULL_FAILED,
        Reason.CACHE_TOO_SMALL,
        Reason.ENGINE_FAILED,
        Reason.OUT_OF_MEMORY,
        Reason.CRASH_LOOPING,
        Reason.STARTUP_TIMED_OUT,
    }
)

_PHASES = {
    Reason.RESOLVING: Phase.RESOLVING,
    Reason.PULLING: Phase.PULLING,
    Reason.STARTING: Phase.STARTING,
    Reason.RUNNER_NOT_FOUND: Phase.PENDING,
    Reason.UNSCHEDULABLE: Phase.PENDING,
}


def _phase(head: Problem) -> Phase:
    return _PHASES.get(head.reason, Phase.FAILED)
