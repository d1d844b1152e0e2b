"""From what was observed of a Model to what is to be done. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from modelrunner.domain import naming
from modelrunner.domain.cache import (
    CacheDecision,
    CacheFacts,
    JobWish,
    decide_cache,
    owns_claim,
)
from modelrunner.domain.conflicts import foreign, left_over, lost_names
from modelrunner.domain.decision import Decision, World, decide
from modelrunner.domain.drafts import Draft, decide_draft
from modelrunner.domain.effective import Effective, OperatorDefaults
from modelrunner.domain.jobs import JobView
from modelrunner.domain.objects import (
    Object,
    annotation,
    being_deleted,
    label,
    name_of,
    owner_uids,
    text,
    uid_of,
)
from modelrunner.domain.pods import look
from modelrunner.domain.problem import Problem
from modelrunner.domain.refresh import RefreshDecision
from modelrunner.domain.status import model_status
from modelrunner.domain.validation import ENGINE
from modelrunner.domain.verification import Verification
from modelrunner.domain.volumes import other_volumes
from modelrunner.kube.resources import DEPLOYMENTS, JOBS, SERVICES
from modelrunner.reconcilers.claiming import (
    claim_pods,
    claim_steps,
    growth_events,
    growth_steps,
    held_up,
    with_claims_word,
    with_need,
)
from modelrunner.reconcilers.keeping import taken
from modelrunner.reconcilers.mounting import (
    beside,
    can_be_filled,
    claim_problem,
    labelled,
    mounted_claim,
    mounts,
)
from modelrunner.reconcilers.observation import JobAndPods, Observation
from modelrunner.reconcilers.plan import Apply, Create, Delete, Plan, Step
from modelrunner.reconcilers.refreshing import (
    arrived,
    due_after,
    refresh_events,
    refresh_of,
    refresh_steps,
    release_steps,
    replaces,
    serves_former,
    settled_state,
    with_source,
)
from modelrunner.reconcilers.settling import same, settled
from modelrunner.reconcilers.steering import limited_by, scaling_of, steer, visible, with_use
from modelrunner.reconcilers.telling import (
    beside_events,
    pull_ended,
    pull_events,
    turn_events,
)
from modelrunner.reconcilers.timing import look_again
from modelrunner.reconcilers.verifying import (
    renewal,
    verification_of,
    verify_events,
    verify_steps,
    with_verified,
)
from modelrunner.render import jobs, serving
from modelrunner.render.common import Owner
from modelrunner_protocol.reasons import Reason

_ARRIVED: Final = frozenset({Reason.READY, Reason.SCALED_TO_ZERO})


def plan_model(seen: Observation, defaults: OperatorDefaults) -> Plan:
    """What to do for a Model. Planned again over its own result, nothing is left to do."""
    settings, problem = seen.settings, seen.problem or _name_taken(seen)
    terminating = being_deleted(seen.model)
    if terminating or settings is None:
        return _conclude(seen, [], None, problem, changing=False)
    resolve = _view(seen.resolve, seen.now)
    pull = with_claims_word(_view(seen.pull, seen.now), seen)
    verification = verification_of(seen, settings, pull, resolve)
    facts = _facts(seen, settings, resolve, pull)
    cache = decide_cache(settings, replace(facts, damaged=verification.damaged), now=seen.now)
    if problem is not None:
        problem = with_need(problem, pull)
        cache = held_up(cache, problem, pull, resolve)
        return _conclude(seen, [], cache, problem, changing=False, pull=pull)
    refresh = refresh_of(seen, settings, cache)
    steps = [*_cache_steps(seen, settings, defaults, cache, verification)]
    steps += verify_steps(seen, settings, defaults, cache, verification)
    steps += refresh_steps(seen, settings, defaults, refresh)
    draft = decide_draft(seen.draft) if seen.draft is not None else None
    renewed = renewal(seen, settings, verification)
    deploying = [*_serving_steps(seen, settings, defaults, cache, draft, renewed)]
    changing = _changes(seen, deploying)
    steps += [*deploying, *_cleanup(seen, cache), *growth_steps(seen, settings, cache)]
    steps = [*labelled(seen.neighbours, steps), *steps]
    if cache.complete and arrived(seen, settings, changing=changing):
        steps += release_steps(seen, refresh.state)
        refresh = replace(refresh, state=settled_state(seen, refresh.state))
    return _conclude(
        seen,
        steps,
        cache,
        None,
        changing=changing,
        pull=pull,
        refresh=refresh,
        verification=verification,
    )


def refused(seen: Observation, defaults: OperatorDefaults, problem: Problem) -> Plan:
    """The plan after the API server has refused a step: tell it, and write nothing else."""
    return plan_model(replace(seen, problem=problem), defaults)


def endpoint(model: Object) -> str:
    """Where the Service of a Model answers inside the cluster."""
    return f"http://{name_of(model)}.{text(model, 'metadata', 'namespace')}.svc:80"


def _path(model: Object) -> str:
    return f"{text(model, 'metadata', 'namespace')}/{name_of(model)}"


def _conclude(
    seen: Observation,
    steps: list[Step],
    cache: CacheDecision | None,
    problem: Problem | None,
    *,
    changing: bool,
    pull: JobView | None = None,
    refresh: RefreshDecision | None = None,
    verification: Verification | None = None,
) -> Plan:
    newer = replaces(seen, refresh, changing=changing)
    world = _world(seen, cache, problem, changing=changing, newer=newer)
    decision = decide(world)
    engine = ENGINE if cache is not None and cache.complete else None
    status = model_status(world, decision, seen.model, engine=engine, progress=seen.progress)
    course = steer(replace(seen, problem=problem), changing=changing)
    status = with_source(seen, with_use(seen, status), refresh)
    status = with_verified(seen, status, verification)
    scaling = scaling_of(seen, course)
    again = look_again(seen, world, decision)
    due_in = due_after(seen, refresh)
    still = not steps and scaling is None and again is None and _arrived(seen, decision)
    return Plan(
        steps=steps,
        status=status,
        events=[
            *pull_events(seen, status, cache, pull),
            *growth_events(seen, steps, pull),
            *turn_events(seen.model, decision),
            *beside_events(seen.model, world),
            *refresh_events(refresh, steps, name_of(seen.claim or {})),
            *verify_events(seen, verification),
        ],
        requeue_after=_sooner(_sooner(again, course.look_after), due_in),
        due_in=due_in,
        scaling=scaling,
        at_rest=still and status == seen.model.get("status"),
        pull_ended=pull_ended(seen, pull),
    )


def _world(
    seen: Observation,
    cache: CacheDecision | None,
    problem: Problem | None,
    *,
    changing: bool,
    newer: bool,
) -> World:
    stranger = _not_ours(seen, seen.deployment, "Deployment") is not None
    former = left_over(seen.deployment, uid=uid_of(seen.model))
    ours = None if stranger or former else seen.deployment
    pods = look(visible(seen) if ours is not None else ())
    found = mounts(seen)
    return World(
        now=seen.now,
        endpoint=endpoint(seen.model),
        problem=problem,
        cache=cache,
        deployment=ours,
        pods=pods,
        runner_status=seen.statuses.get(uid_of(pods.newest)) if pods.newest is not None else None,
        changing=changing,
        lost_names=lost_names(_path(seen.model), seen.lost_names),
        terminating=being_deleted(seen.model),
        draft=_missing_draft(seen),
        newer=newer,
        limited=limited_by(seen, found.names if found else ()),
        tied=found.tied if found else (),
    )


def _missing_draft(seen: Observation) -> Problem | None:
    found = decide_draft(seen.draft) if seen.draft is not None else None
    return found if isinstance(found, Problem) else None


def _arrived(seen: Observation, decision: Decision) -> bool:
    """Whether the Model is where it was to be: it serves or sleeps, and no Job is left."""
    left = (seen.resolve, seen.pull, seen.refresh, seen.verify)
    return decision.headline.reason in _ARRIVED and not any(left)


def _name_taken(seen: Observation) -> Problem | None:
    return _not_ours(seen, seen.deployment, "Deployment") or _not_ours(
        seen, seen.service, "Service"
    )


def _not_ours(seen: Observation, obj: Object | None, kind: str) -> Problem | None:
    return foreign(obj, kind, model=name_of(seen.model), uid=uid_of(seen.model))


def _view(found: JobAndPods | None, now: float) -> JobView | None:
    return found.view(now) if found is not None else None


def _facts(
    seen: Observation, settings: Effective, resolve: JobView | None, pull: JobView | None
) -> CacheFacts:
    return CacheFacts(
        claim=seen.claim,
        recorded_by=seen.recorded_by,
        resolve=resolve,
        pull=pull,
        stale_resolve=_stale(seen, settings, seen.resolve),
        stale_pull=_stale(seen, settings, seen.pull),
        progress=seen.progress,
        unusable=claim_problem(seen),
        writable=can_be_filled(seen),
        newer=serves_former(seen, settings),
        users=claim_pods(seen),
        awake_for_good=settings.keep_alive < 0 or settings.scaling.min_replicas > 0,
    )


def _stale(seen: Observation, settings: Effective, found: JobAndPods | None) -> bool:
    """Whether a Job does what nobody wants any more.

    Models on different ModelRunners may share a Job: only the one that made it judges it, else
    each would replace the other's.
    """
    if found is None:
        return False
    maker = label(found.job, naming.MODEL_LABEL)
    others = {sharer.name for sharer in seen.sharers if sharer.uid != uid_of(seen.model)}
    if maker in others:
        return False
    looks = seen.refresh is not None and found.job is seen.refresh.job
    inputs = jobs.refresh_inputs(settings) if looks else jobs.job_inputs(settings)
    return annotation(found.job, naming.INPUTS_ANNOTATION) != inputs


def _cache_steps(
    seen: Observation,
    settings: Effective,
    defaults: OperatorDefaults,
    cache: CacheDecision,
    verification: Verification,
) -> Iterator[Step]:
    yield from (_delete_job(job) for job in seen.stale_jobs)
    yield from taken(seen.claim)
    artifact, claim = cache.artifact, mounted_claim(seen)
    if artifact is not None and owns_claim(settings):
        yield from claim_steps(seen, settings, cache, artifact, renewed=verification.mark)
    if cache.resolve in {JobWish.CREATE, JobWish.AGAIN}:
        yield from _again(seen.resolve, cache.resolve)
        yield Create(JOBS, jobs.resolve_job(settings, defaults, seen.sharers, cache.attempt, claim))
    elif cache.pull in {JobWish.CREATE, JobWish.AGAIN} and artifact is not None:
        yield from _again(seen.pull, cache.pull)
        tries, sharers, near = cache.attempt, seen.sharers, beside(seen)
        job = jobs.pull_job(settings, defaults, sharers, tries, artifact, claim, near)
        yield Create(JOBS, job)
    yield from _adoptions(seen, cache)


def _adoptions(seen: Observation, cache: CacheDecision) -> Iterator[Step]:
    for found, wish in ((seen.resolve, cache.resolve), (seen.pull, cache.pull)):
        if found is None or wish is not JobWish.KEEP or being_deleted(found.job):
            continue
        if not {sharer.uid for sharer in seen.sharers} <= owner_uids(found.job):
            yield Apply(JOBS, jobs.owners_of_job(found.job, seen.sharers))


def _again(found: JobAndPods | None, wish: JobWish) -> Iterator[Step]:
    if found is not None and wish is JobWish.AGAIN:
        yield _delete_job(found.job)


def _serving_steps(
    seen: Observation,
    settings: Effective,
    defaults: OperatorDefaults,
    cache: CacheDecision,
    draft: Draft | Problem | None,
    renewed: str,
) -> Iterator[Step]:
    artifact, uid = cache.artifact, uid_of(seen.model)
    if not cache.complete or artifact is None or isinstance(draft, Problem):
        return
    if left_over(seen.deployment, uid=uid) or left_over(seen.service, uid=uid):
        return
    owner = Owner("Model", name_of(seen.model), uid)
    if seen.deployment is None or not being_deleted(seen.deployment):
        claim = mounted_claim(seen)
        wanted = serving.deployment(
            settings, artifact, defaults, owner, draft, claim, renewed=renewed
        )
        if not _leave(seen.deployment, wanted):
            yield Apply(DEPLOYMENTS, wanted)
    if seen.service is None or not being_deleted(seen.service):
        service = serving.service(settings, owner)
        if seen.service is None or not settled(seen.service, service):
            yield Apply(SERVICES, service)


def _leave(observed: Object | None, wanted: Mapping[str, Any]) -> bool:
    """Whether a Deployment stays as it is: nothing differs, or only the operator's own version."""
    if observed is None:
        return False
    if _same_pods(observed, wanted) and not same(observed, wanted, naming.RENDERED_ANNOTATION):
        return True
    return settled(observed, wanted)


def _changes(seen: Observation, steps: list[Step]) -> bool:
    """Whether the steps make other pods than those that were observed."""
    for step in steps:
        if isinstance(step, Apply) and step.resource == DEPLOYMENTS:
            found = seen.deployment
            return found is None or not _same_pods(found, step.body)
    return False


def _same_pods(observed: Object, wanted: Mapping[str, Any]) -> bool:
    """Whether users want no other pods, and the volumes need none."""
    other = other_volumes(observed, wanted)
    return not other and same(observed, wanted, naming.INPUTS_ANNOTATION)


def _cleanup(seen: Observation, cache: CacheDecision) -> Iterator[Step]:
    """Jobs whose result is stored: in this very plan or before, by the time this step runs."""
    owner = uid_of(seen.model)
    waits = left_over(seen.deployment, uid=owner) or left_over(seen.service, uid=owner)
    if not cache.complete or waits:
        return
    for found in (seen.resolve, seen.pull):
        if found is not None and not being_deleted(found.job):
            yield _delete_job(found.job)


def _delete_job(job: Object) -> Delete:
    return Delete(JOBS, name_of(job), uid_of(job))


def _sooner(one: float | None, other: float | None) -> float | None:
    return min((wait for wait in (one, other) if wait is not None), default=None)
