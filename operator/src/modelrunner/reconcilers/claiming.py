"""What is written to the cache claim of a Model: made, kept right, made larger. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from modelrunner.api.text import format_size
from modelrunner.domain.cache import CacheDecision
from modelrunner.domain.claim_users import claims_of
from modelrunner.domain.conditions import not_cached
from modelrunner.domain.effective import Effective
from modelrunner.domain.growth import asked_bytes, lacking
from modelrunner.domain.jobs import JobState, JobView
from modelrunner.domain.naming import FIELD_MANAGER, RENEWED_ANNOTATION, claim_name
from modelrunner.domain.objects import (
    Object,
    annotation,
    format_time,
    name_of,
    text,
    uid_of,
)
from modelrunner.domain.problem import Problem
from modelrunner.domain.quantities import parse_quantity
from modelrunner.domain.scheduling import is_scheduled
from modelrunner.domain.volumes import is_unbound, unbound_words
from modelrunner.kube.resources import CLAIMS
from modelrunner.reconcilers.observation import Observation
from modelrunner.reconcilers.plan import Apply, Delete, Event, Patch, Step
from modelrunner.reconcilers.settling import settled
from modelrunner.render import claims
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Artifact


def claim_steps(
    seen: Observation,
    settings: Effective,
    cache: CacheDecision,
    artifact: Artifact,
    *,
    renewed: str,
) -> Iterator[Step]:
    """The claim as the next step needs it.

    `renewed`: a new mark for a claim that is to be filled again; "" leaves the one it has.
    """
    if not _wanted(seen, cache):
        return
    body = claims.claim(
        settings,
        artifact,
        seen.claim_owners,
        seen.claim,
        complete=cache.complete,
        at_least=cache.at_least,
        renewed=renewed or _renewed(seen, settings),
    )
    if seen.claim is not None and _larger(seen.claim, body) and is_unbound(seen.claim):
        # A claim without a volume holds nothing, and cannot be changed either. It may have got one.
        yield _as_it_was(seen.claim)
    elif seen.claim is None or not settled(seen.claim, body):
        yield Apply(CLAIMS, body)


def growth_steps(seen: Observation, settings: Effective, cache: CacheDecision) -> Iterator[Step]:
    """A raised cache.size, for a claim that has all it needs: nobody waits for it."""
    size, claim = settings.cache.size, seen.claim
    if not cache.complete or claim is None or size is None or is_unbound(claim):
        return
    if parse_quantity(size) > asked_bytes(claim):
        body = {"spec": {"resources": {"requests": {"storage": size}}}}
        yield Patch(CLAIMS, name_of(claim), uid_of(claim), body, FIELD_MANAGER, optional=True)


def growth_events(
    seen: Observation, steps: Sequence[Step], pull: JobView | None
) -> Iterator[Event]:
    """A claim that is asked to grow: from what to what, and why."""
    for step in steps:
        if not isinstance(step, Apply) or step.resource != CLAIMS or seen.claim is None:
            continue
        has, wants = asked_bytes(seen.claim), asked_bytes(step.body)
        if wants > has:
            why = lacking(pull)
            note = (
                f"PersistentVolumeClaim {name_of(seen.claim)} is asked to grow from"
                f" {format_size(has)} to {format_size(wants)}{f': {why}' if why else ''}"
            )
            yield Event("Normal", "CacheGrows", note)


def with_need(problem: Problem, pull: JobView | None) -> Problem:
    """The server's no to a larger claim, after what the pull said of needed and free room."""
    said = lacking(pull) if problem.reason is Reason.CACHE_TOO_SMALL else ""
    return replace(problem, message=f"{said}. {problem.message}") if said else problem


def with_claims_word(view: JobView | None, seen: Observation) -> JobView | None:
    """A pull that waits for a claim without a volume, with what was said of that."""
    if view is None or view.state is not JobState.RUNNING or not seen.unbound:
        return view
    words = unbound_words(seen.claim, seen.unbound)
    if view.problem is None:
        return replace(view, waiting=words) if view.waiting else view
    if view.problem.reason is not Reason.UNSCHEDULABLE:
        return view
    said = f"{words}. {view.problem.message}"
    return replace(view, problem=replace(view.problem, message=said))


def held_up(cache: CacheDecision, problem: Problem, *views: JobView | None) -> CacheDecision:
    """The state of a cache whose next step is not taken because of `problem`.

    `views` are its Jobs: one that runs goes on all the same.
    """
    busy = any(view is not None and view.state is JobState.RUNNING for view in views)
    if cache.complete or cache.problem is not None or busy:
        return cache
    return replace(cache, verdict=not_cached(problem.reason, problem.message))


def claim_pods(seen: Observation) -> list[str]:
    """The pods of this Model that have its claim."""
    name = name_of(seen.claim) if seen.claim is not None else ""
    return sorted(name_of(pod) for pod in seen.pods if name in claims_of(pod) and is_scheduled(pod))


def _renewed(seen: Observation, settings: Effective) -> str:
    """A claim that is made again below pods which know another of its name is told apart."""
    if seen.claim is not None:
        return annotation(seen.claim, RENEWED_ANNOTATION)
    name = claim_name(settings.key)
    known = any(name in claims_of(one) for one in seen.recorded_by)
    return format_time(seen.now) if known else ""


def _wanted(seen: Observation, cache: CacheDecision) -> bool:
    if cache.wants_claim or seen.pull is not None:
        return True
    return seen.claim is not None and cache.problem is None


def _as_it_was(claim: Object) -> Delete:
    version = text(claim, "metadata", "resourceVersion")
    return Delete(CLAIMS, name_of(claim), uid_of(claim), version)


def _larger(claim: Object, body: dict[str, Any]) -> bool:
    return asked_bytes(body) > asked_bytes(claim)
