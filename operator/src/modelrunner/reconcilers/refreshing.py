"""Looking whether a source has moved, and giving up what it has moved away from. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from modelrunner.domain.cache import CacheDecision, JobWish, refusal
from modelrunner.domain.decision import rolling
from modelrunner.domain.effective import Effective, OperatorDefaults
from modelrunner.domain.jobs import JobState
from modelrunner.domain.naming import (
    ARTIFACT_LABEL,
    INPUTS_ANNOTATION,
    MODEL_LABEL,
    REFRESH_ANNOTATION,
)
from modelrunner.domain.objects import (
    Object,
    annotation,
    being_deleted,
    created_at,
    dig,
    label,
    name_of,
    owner_uids,
    uid_of,
)
from modelrunner.domain.pods import look
from modelrunner.domain.refresh import (
    Look,
    RefreshDecision,
    RefreshFacts,
    SourceState,
    decide_refresh,
    read_state,
    state_status,
    why_fixed,
)
from modelrunner.domain.versions import served_version
from modelrunner.kube.resources import CLAIMS, JOBS
from modelrunner.reconcilers.observation import Observation
from modelrunner.reconcilers.plan import Create, Delete, Event, Step
from modelrunner.reconcilers.steering import visible
from modelrunner.render import jobs
from modelrunner.render.common import Owner

REFRESH_FAILED = "RefreshFailed"
RELEASED = "Released"


def look_of(seen: Observation) -> Look | None:
    """The look at this Model's source that there is."""
    found, settings = seen.refresh, seen.settings
    if found is None or settings is None or being_deleted(found.job):
        return None
    view = found.view(seen.now)
    mine = label(found.job, MODEL_LABEL) == name_of(seen.model) and uid_of(
        seen.model
    ) in owner_uids(found.job)
    inputs = jobs.refresh_inputs(settings)
    return Look(
        uid=uid_of(found.job),
        view=view,
        request=annotation(found.job, REFRESH_ANNOTATION),
        mine=mine,
        stale=mine and annotation(found.job, INPUTS_ANNOTATION) != inputs,
        refused=refusal(settings, view.artifact) if view.artifact is not None else None,
    )


def as_resolve(seen: Observation) -> Observation:
    """A look of its own has resolved the version that it has found: nobody looks again.

    It also takes the place of an earlier answer that came to nothing.
    """
    found, look_job, former = look_of(seen), seen.refresh, seen.resolve
    if found is None or look_job is None or not found.mine or found.stale:
        return seen
    if found.view.state is not JobState.SUCCEEDED or found.refused is not None:
        return seen
    if former is None:
        return replace(seen, resolve=look_job)
    if created_at(former.job) > created_at(look_job.job) or being_deleted(former.job):
        return seen
    return replace(seen, resolve=look_job, stale_jobs=[*seen.stale_jobs, former.job])


def refresh_of(seen: Observation, settings: Effective, cache: CacheDecision) -> RefreshDecision:
    """What becomes of looks at a Model's source."""
    state = read_state(seen.model, settings.source_key, settings.key)
    return decide_refresh(
        RefreshFacts(
            now=seen.now,
            uid=uid_of(seen.model),
            state=state,
            interval=settings.refresh,
            request=annotation(seen.model, REFRESH_ANNOTATION),
            fixed=why_fixed(settings.source),
            complete=cache.complete,
            stuck=cache.problem is not None and cache.problem.retry_at is None,
            look=look_of(seen),
            leaving=seen.refresh is not None and being_deleted(seen.refresh.job),
            moved_from=seen.moved_from,
        )
    )


def refresh_steps(
    seen: Observation, settings: Effective, defaults: OperatorDefaults, decision: RefreshDecision
) -> Iterator[Step]:
    """The Job that looks: made, made anew, or taken away once its answer is written down."""
    found = seen.refresh
    # As the resolve of what has just become complete it goes with the other Jobs.
    if found is seen.resolve and decision.job is JobWish.NONE:
        return
    if decision.job in {JobWish.NONE, JobWish.AGAIN} and found is not None:
        yield Delete(JOBS, name_of(found.job), uid_of(found.job))
    if decision.job in {JobWish.CREATE, JobWish.AGAIN}:
        request = annotation(seen.model, REFRESH_ANNOTATION)
        owner = Owner("Model", name_of(seen.model), uid_of(seen.model))
        yield Create(JOBS, jobs.refresh_job(settings, defaults, owner, request))


def release_steps(seen: Observation, state: SourceState) -> Iterator[Delete]:
    """The claims of versions that the source has moved away from, once nobody uses them."""
    for claim in _given_up(seen, state):
        if name_of(claim) in seen.unused:
            yield Delete(CLAIMS, name_of(claim), uid_of(claim))


def arrived(seen: Observation, settings: Effective, *, changing: bool) -> bool:
    """Whether the wanted version serves, or would on the next wake, and no other one does."""
    found = seen.deployment
    if changing or found is None or rolling(found):
        return False
    if served_version(found, settings.source_key) != settings.key:
        return False
    return dig(found, "spec", "replicas") == 0 or look(visible(seen)).newest_ready


def serves_former(seen: Observation, settings: Effective) -> bool:
    """Whether the Deployment is still that of another version of the same source."""
    return served_version(seen.deployment, settings.source_key) not in {None, settings.key}


def replaces(seen: Observation, decision: RefreshDecision | None, *, changing: bool) -> bool:
    """Whether weights that the source has moved away from are being replaced."""
    if decision is None or seen.settings is None:
        return False
    if serves_former(seen, seen.settings):
        return True
    return bool(decision.state.superseded) and not arrived(seen, seen.settings, changing=changing)


def settled_state(seen: Observation, state: SourceState) -> SourceState:
    """What is remembered once the wanted version has arrived: what is still to be given up."""
    there = {label(claim, ARTIFACT_LABEL) for claim in seen.versions}
    kept = tuple(key for key in state.superseded if key in there)
    return replace(state, superseded=kept)


def due_after(seen: Observation, decision: RefreshDecision | None) -> float | None:
    """Seconds until the source is to be thought of again; nobody needs to look at pods for that."""
    if decision is None or decision.due_at is None:
        return None
    return max(0.1, decision.due_at - seen.now)


def with_source(
    seen: Observation, status: Mapping[str, Any], decision: RefreshDecision | None
) -> dict[str, Any]:
    """A status with what is remembered of the source's versions."""
    settings = seen.settings
    if settings is None or decision is None:
        old = dig(seen.model, "status", "source")
    else:
        old = state_status(decision.state, settings.source_key)
    return {**status, "source": old} if old else dict(status)


def refresh_events(
    decision: RefreshDecision | None, steps: list[Step], own: str
) -> Iterator[Event]:
    """A look that has failed, once; and each version that is given up."""
    if decision is not None and decision.failed:
        yield Event("Warning", REFRESH_FAILED, decision.failed)
    for step in steps:
        if isinstance(step, Delete) and step.resource == CLAIMS and step.name != own:
            note = f"PersistentVolumeClaim {step.name} goes: the source has moved on"
            yield Event("Normal", RELEASED, note)


def _given_up(seen: Observation, state: SourceState) -> list[Object]:
    """Older than what serves, or known to be the source's past."""
    mine = (created_at(seen.claim), name_of(seen.claim)) if seen.claim is not None else (0.0, "")
    return [
        claim
        for claim in seen.versions
        if label(claim, ARTIFACT_LABEL) in state.superseded
        or (created_at(claim), name_of(claim)) < mine
    ]
