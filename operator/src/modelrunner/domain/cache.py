"""Where the weights of a Model are on their way from the source to the volume.

What is known survives the operator: a claim of ours carries the artifact as an annotation, a
Deployment carries the one it serves, and a Job carries its result until one of them has it.
Losing all of them costs one quick resolve, since a pull finds its own finished work.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from modelrunner.api.text import format_size
from modelrunner.domain import jobs, naming
from modelrunner.domain.conditions import Verdict, cached, not_cached
from modelrunner.domain.downloads import trouble
from modelrunner.domain.effective import Effective
from modelrunner.domain.formats import unsuited
from modelrunner.domain.growth import (
    Growing,
    growing,
    lacking,
    outgrown,
    room_for,
    too_small,
)
from modelrunner.domain.jobs import JobState, JobView
from modelrunner.domain.objects import Object, annotation, being_deleted, dig, items, text
from modelrunner.domain.problem import Problem
from modelrunner.domain.sizing import check_size
from modelrunner.domain.volumes import unbound_words
from modelrunner_protocol.codec import WireError, decode
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.sources import describe
from modelrunner_protocol.wire import Artifact, Progress


class JobWish(StrEnum):
    """What is to happen to a Job."""

    NONE = "none"
    """It is not needed: delete it once its result is stored elsewhere."""

    KEEP = "keep"
    """As it is, there or not."""

    CREATE = "create"
    """It does not exist and should."""

    AGAIN = "again"
    """It failed, or it does what nobody wants any more: delete it and make a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheFacts:
    """What was observed of one artifact's cache.

    `claim` is our own cache claim. `recorded_by` are Deployments of Models that share the
    artifact. `stale_resolve`, `stale_pull`: the Job's inputs are no longer what is wanted.
    `unusable`: why a claim that users made cannot be used. `writable`: whether a pull could fill
    the claim. `newer`: another version of the same source serves meanwhile.
    `damaged`: a verification has found damage that no pull has mended yet. `users` are pods that
    mount our claim, and `awake_for_good` whether they never end by themselves.
    """

    claim: Object | None
    recorded_by: Sequence[Object]
    resolve: JobView | None
    pull: JobView | None
    stale_resolve: bool = False
    stale_pull: bool = False
    progress: Progress | None = None
    unusable: Problem | None = None
    writable: bool = True
    newer: bool = False
    damaged: bool = False
    users: Sequence[str] = ()
    awake_for_good: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheDecision:
    """What the cache is and what it needs.

    `attempt` counts the tries of a Job made AGAIN. `at_least`: bytes that our claim has to have.
    """

    verdict: Verdict
    artifact: Artifact | None = None
    complete: bool = False
    resolve: JobWish = JobWish.KEEP
    pull: JobWish = JobWish.KEEP
    attempt: int = 1
    problem: Problem | None = None
    at_least: int = 0

    @property
    def wants_claim(self) -> bool:
        """Whether our own claim has to exist."""
        return self.pull in {JobWish.CREATE, JobWish.AGAIN} or self.complete


def cache_claim(effective: Effective) -> str:
    """The claim that runners mount: the user's, the shared one, or the artifact's own."""
    if effective.source.claim is not None:
        return effective.source.claim.claim
    return effective.cache.existing_claim or naming.claim_name(effective.key)


def owns_claim(effective: Effective) -> bool:
    """Whether the cache claim is one that the operator makes."""
    return not effective.in_place and effective.cache.existing_claim is None


def decide_cache(effective: Effective, facts: CacheFacts, *, now: float) -> CacheDecision:
    """The next step towards complete weights."""
    unusable = _unusable_claim(effective, facts)
    if unusable is not None:
        return unusable
    facts = _only_read(effective, facts)
    found = recorded(effective, facts) or _finished(effective, facts)
    if found is not None:
        return _unusable(effective, found) or _complete(effective, found)
    resolved = None if effective.in_place else _resolved(effective, facts)
    if resolved is None:
        return _job_decision(effective, facts, now=now, pull=False)
    return (
        _unusable(effective, resolved)
        or _too_small(effective, resolved)
        or _pull_decision(effective, facts, resolved, now=now)
    )


def _pull_decision(
    effective: Effective, facts: CacheFacts, artifact: Artifact, *, now: float
) -> CacheDecision:
    room = 0
    if owns_claim(effective):
        claim, pull = facts.claim, facts.pull
        room = room_for(effective, claim, pull)
        needed, said = max(room, artifact.size_bytes), lacking(pull)
        if outgrown(claim, pull):
            facts, room = replace(facts, stale_pull=True), 0 if claim is not None else room
        elif (waits := growing(claim, needed, said)) is not None:
            return _grows(waits, artifact, room)
        elif not facts.stale_pull and (full := too_small(effective, claim, pull)) is not None:
            return _failed(full, artifact)
    found = _job_decision(effective, facts, now=now, pull=True, artifact=artifact)
    return replace(found, at_least=room)


def _grows(waits: Growing, artifact: Artifact, room: int) -> CacheDecision:
    reason = waits.problem.reason if waits.problem is not None else Reason.PULLING
    return CacheDecision(
        verdict=not_cached(reason, waits.message),
        artifact=artifact,
        problem=waits.problem,
        at_least=room,
    )


def serves(deployment: Object | None, key: str, claim: str) -> Artifact | None:
    """The artifact that a Deployment serves, if it is that of `key` on that claim."""
    if deployment is None or annotation(deployment, naming.ARTIFACT_KEY_ANNOTATION) != key:
        return None
    for volume in items(deployment, "spec", "template", "spec", "volumes"):
        if text(volume, "persistentVolumeClaim", "claimName") == claim:
            return written(deployment)
    return None


def written(obj: Object) -> Artifact | None:
    """The artifact that is written on a claim or a Deployment."""
    try:
        return decode(Artifact, annotation(obj, naming.ARTIFACT_ANNOTATION))
    except WireError:
        return None


def recorded(effective: Effective, facts: CacheFacts) -> Artifact | None:
    """The artifact that is on the volume, as the claim or a Deployment has it written down."""
    if owns_claim(effective):
        claim = facts.claim
        whole = claim is not None and annotation(claim, naming.COMPLETE_ANNOTATION) == "true"
        if claim is None or not whole or facts.damaged:
            return None
        return written(claim)
    if facts.damaged:
        return None
    name = cache_claim(effective)
    found = (serves(one, effective.key, name) for one in facts.recorded_by)
    return next((artifact for artifact in found if artifact is not None), None)


def _finished(effective: Effective, facts: CacheFacts) -> Artifact | None:
    """What the last Job on the way has found: the pull's, or the resolve's for what is there."""
    if not effective.in_place and facts.pull is not None and facts.pull.artifact is not None:
        return facts.pull.artifact
    if facts.resolve is None or facts.stale_resolve:
        return None
    # A resolve that has the shared claim mounted may find all of it there.
    there = effective.in_place or (not owns_claim(effective) and facts.resolve.cached)
    return facts.resolve.artifact if there else None


def _resolved(effective: Effective, facts: CacheFacts) -> Artifact | None:
    if owns_claim(effective) and facts.claim is not None:
        found = written(facts.claim)
        if found is not None:
            return found
    if facts.resolve is not None and not facts.stale_resolve:
        return facts.resolve.artifact
    return None


def _complete(effective: Effective, artifact: Artifact) -> CacheDecision:
    where = f"PersistentVolumeClaim {cache_claim(effective)}"
    return CacheDecision(
        verdict=cached(f"{format_size(artifact.size_bytes)} on {where}"),
        artifact=artifact,
        complete=True,
        resolve=JobWish.NONE,
        pull=JobWish.NONE,
    )


def refusal(effective: Effective, artifact: Artifact) -> Problem | None:
    """Why weights cannot be used, as far as their description tells; None where they can."""
    found = _unusable(effective, artifact) or _too_small(effective, artifact)
    return found.problem if found is not None else None


def _unusable(effective: Effective, artifact: Artifact) -> CacheDecision | None:
    problem = unsuited(
        artifact,
        engine=effective.engine,
        runner=effective.runner,
        where=describe(effective.source),
    )
    return _failed(problem, artifact) if problem is not None else None


def _too_small(effective: Effective, artifact: Artifact) -> CacheDecision | None:
    size = effective.cache.size
    if size is None or not owns_claim(effective):
        return None
    problem = check_size(
        artifact.size_bytes,
        size,
        where=f"spec.cache.size of ModelRunner {effective.runner}",
        mend="set it to {size} or more, or to auto",
    )
    return _failed(problem, artifact) if problem is not None else None


def _unusable_claim(effective: Effective, facts: CacheFacts) -> CacheDecision | None:
    if facts.unusable is not None:
        return _failed(facts.unusable, recorded(effective, facts))
    claim = facts.claim
    if claim is None or not owns_claim(effective):
        return None
    name = naming.claim_name(effective.key)
    if being_deleted(claim):
        return _deleted(name, facts)
    if dig(claim, "status", "phase") == "Lost":
        lost = f"PersistentVolumeClaim {name} lost its volume: delete the claim to pull again"
        return _failed(Problem(Reason.PULL_FAILED, lost), None)
    return None


def _deleted(name: str, facts: CacheFacts) -> CacheDecision:
    """A claim goes only when no pod has it: until then what runs goes on with the old volume."""
    if not facts.users:
        waiting = (
            f"PersistentVolumeClaim {name} is being deleted; a new one follows once no pod uses it"
        )
        return CacheDecision(verdict=not_cached(Reason.PULLING, waiting))
    pods = " ".join(facts.users)
    deleted = (
        f"PersistentVolumeClaim {name} was deleted, but pods still use it: they go on serving, and"
        " once they have ended a new claim is made and pulled"
    )
    now = f"`kubectl delete pod {pods}` ends them now, and requests wait for the pull"
    if facts.awake_for_good:
        never = f"{deleted}. They do not end by themselves (keepAlive, minReplicas). Mend: {now}"
        return _failed(Problem(Reason.PULL_FAILED, never), None)
    return CacheDecision(verdict=not_cached(Reason.PULLING, f"{deleted}; {now}"))


def _only_read(effective: Effective, facts: CacheFacts) -> CacheFacts:
    """On a claim that only can be read, a resolve that finds nothing in the cache has failed."""
    view = facts.resolve
    if facts.writable or effective.in_place or view is None or view.cached:
        return facts
    if view.state is JobState.SUCCEEDED:
        failed = Problem(Reason.PULL_FAILED, _unfilled(effective))
        view = replace(view, state=JobState.FAILED, artifact=None, problem=failed, retryable=True)
    elif view.state is JobState.FAILED and view.problem is not None:
        said = f"{view.problem.message.rstrip('.')}. {_unfilled(effective)}"
        view = replace(view, problem=replace(view.problem, message=said))
    return replace(facts, resolve=view)


def _unfilled(effective: Effective) -> str:
    return (
        f"PersistentVolumeClaim {cache_claim(effective)} offers only ReadOnlyMany, so nothing is"
        f" pulled onto it, and it does not hold {describe(effective.source)}: put the weights on its"
        " volume with `runnerd import`, or name a claim that can be written"
    )


def _failed(problem: Problem, artifact: Artifact | None) -> CacheDecision:
    return CacheDecision(
        verdict=not_cached(problem.reason, problem.message), artifact=artifact, problem=problem
    )


def _job_decision(
    effective: Effective,
    facts: CacheFacts,
    *,
    now: float,
    pull: bool,
    artifact: Artifact | None = None,
) -> CacheDecision:
    view = facts.pull if pull else facts.resolve
    stale = facts.stale_pull if pull else facts.stale_resolve
    doing = Reason.PULLING if pull else Reason.RESOLVING
    wish, problem, attempt = _job_wish(view, stale=stale, now=now)
    message = _sentence(effective, facts, artifact, pull=pull)
    if wish in {JobWish.CREATE, JobWish.AGAIN}:
        problem = None
    verdict = (
        not_cached(doing, message)
        if problem is None
        else not_cached(problem.reason, problem.message)
    )
    return CacheDecision(
        verdict=verdict,
        artifact=artifact,
        resolve=JobWish.KEEP if pull else wish,
        pull=wish if pull else JobWish.KEEP,
        attempt=attempt,
        problem=problem,
    )


def _job_wish(
    view: JobView | None, *, stale: bool, now: float
) -> tuple[JobWish, Problem | None, int]:
    if view is None:
        return JobWish.CREATE, None, 1
    if view.state is JobState.GOING:
        return JobWish.KEEP, None, view.attempt
    if stale:
        return JobWish.AGAIN, None, 1
    if view.state is JobState.SUCCEEDED:
        # Its artifact would have been taken before: the result cannot be used any more.
        return JobWish.AGAIN, None, 1
    if view.state is JobState.RUNNING:
        return JobWish.KEEP, view.problem, view.attempt
    return _retry(view, now=now)


def _retry(view: JobView, *, now: float) -> tuple[JobWish, Problem | None, int]:
    problem = view.problem or Problem(Reason.PULL_FAILED, "the Job failed")
    retry_at = view.retry_at
    if retry_at is None:
        return JobWish.KEEP, problem, view.attempt
    if now >= retry_at:
        return JobWish.AGAIN, None, view.attempt + 1
    again = jobs.retry_words(view, retry_at)
    return (
        JobWish.KEEP,
        Problem(problem.reason, f"{problem.message}. {again}", retry_at),
        view.attempt,
    )


def _waiting(view: JobView, claim: Object | None) -> str:
    """What a Job waits for: a volume that does not come is worth more than the word."""
    if view.waiting != jobs.STILL_WAITING:
        return view.waiting
    return unbound_words(claim) or view.waiting


def _sentence(
    effective: Effective, facts: CacheFacts, artifact: Artifact | None, *, pull: bool
) -> str:
    view = facts.pull if pull else facts.resolve
    what = describe(effective.source)
    if view is not None and view.state is JobState.GOING:
        return f"waiting for the previous Job for {what} to go"
    waiting = f": {_waiting(view, facts.claim)}" if view is not None and view.waiting else ""
    if not pull:
        return f"finding out what {what} holds{waiting}"
    size = f" ({format_size(artifact.size_bytes)})" if artifact is not None else ""
    stuck = trouble(facts.progress)
    what = f"a newer version of {what}" if facts.newer else what
    return f"pulling {what}{size}{waiting}{f'; {stuck}' if stuck else ''}"
