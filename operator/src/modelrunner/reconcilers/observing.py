"""Looking: at the cache of watched objects first, at the server where it has nothing, at pods."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from modelrunner.api.v1alpha1 import Model, ModelRunner
from modelrunner.domain import naming
from modelrunner.domain.cache import cache_claim, owns_claim
from modelrunner.domain.drafts import DraftFacts
from modelrunner.domain.effective import Effective, runner_name, settle
from modelrunner.domain.fleet import alive
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
from modelrunner.domain.pods import address, look
from modelrunner.domain.problem import Problem
from modelrunner.domain.scheduling import claims_of
from modelrunner.domain.validation import ConfigurationError, check, read
from modelrunner.domain.volumes import same_claim
from modelrunner.kube.client import KubeClient
from modelrunner.kube.resources import (
    CLAIMS,
    DEPLOYMENTS,
    JOBS,
    MODEL_RUNNERS,
    MODELS,
    PODS,
    SERVICES,
    Resource,
)
from modelrunner.kube.store import Store
from modelrunner.reconcilers.complaints import Complaints
from modelrunner.reconcilers.index import Entry, ModelIndex, NameIndex
from modelrunner.reconcilers.mounting import mounts
from modelrunner.reconcilers.observation import JobAndPods, Observation
from modelrunner.reconcilers.probe import RunnerProbe, ask_runners
from modelrunner.reconcilers.refreshing import as_resolve
from modelrunner.reconcilers.sharing import (
    claim_owners,
    sharers_of,
    stale_jobs,
    without_status,
)
from modelrunner.reconcilers.versions import as_draft, at_wanted_version, moved, with_versions
from modelrunner.render.common import Owner
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Progress

PROGRESS_LASTS: Final = 1.5
"""Seconds for which a pull's answer is good; less than the time between two looks at it."""

CLAIM_LASTS: Final = 10.0
"""Seconds for which a look at a claim that users made is good."""

_REMEMBERED: Final = 1000


@dataclass(frozen=True, slots=True)
class Sight:
    """The eyes of a reconciler."""

    client: KubeClient
    store: Store
    probe: RunnerProbe
    complaints: Complaints
    index: ModelIndex
    names: NameIndex = field(default_factory=NameIndex)
    told: dict[str, tuple[float, Progress | None]] = field(default_factory=dict)
    looked: dict[tuple[str, str], tuple[float, Object]] = field(default_factory=dict)

    async def find(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """The object as cached, else as the server has it: the cache alone proves no absence."""
        found = self.store.get(resource, namespace, name)
        if found is not None:
            return found
        asked = await self.client.get(resource, namespace, name)
        if asked is not None and (resource in _WHOLE or _is_ours(asked)):
            self.store.put(resource, asked)
        return asked

    async def observe(self, model: Object, now: float) -> Observation:
        """Everything that the plan for a Model is made from."""
        namespace, name = str(model["metadata"]["namespace"]), name_of(model)
        seen = Observation(now=now, model=model)
        if being_deleted(model):
            return seen
        deployment, service = await asyncio.gather(
            self.find(DEPLOYMENTS, namespace, name), self.find(SERVICES, namespace, name)
        )
        pods = runner_pods(self.store, namespace, name)
        self.names.follow(self.store)
        seen = replace(
            seen,
            deployment=deployment,
            service=service,
            pods=pods,
            lost_names=self.names.losses(model),
        )
        settings, problem = await self._settings(model)
        entries = self.index.entries(namespace, self.store.list(MODELS, namespace))
        if settings is not None:
            seen = await self._version(seen, settings, entries)
            seen = replace(seen, draft=await self._draft(settings, entries, now))
            seen = self._volumes(seen)
        return await self._ask_pods(replace(seen, problem=problem))

    async def _version(
        self, seen: Observation, settings: Effective, entries: Sequence[Entry]
    ) -> Observation:
        """The cache of the version that is wanted; of a newer one where a look has found it."""
        settings = at_wanted_version(self.store, settings, seen.model, entries)
        seen = await self._cache(replace(seen, settings=settings), entries)
        seen = with_versions(self.store, seen, entries)
        if seen.refresh is not None:
            seen = replace(seen, refresh=await self.complaints.of_job(seen.refresh, seen.now))
        newer = moved(self.store, seen, entries)
        if newer is not None:
            seen = await self._cache(replace(seen, settings=newer), entries)
            seen = with_versions(self.store, replace(seen, moved_from=settings.key), entries)
        return seen if _recorded(seen, newer or settings) else as_resolve(seen)

    def _volumes(self, seen: Observation) -> Observation:
        """What the claims of its pods mean, and who else mounts them."""
        found = mounts(seen)
        if found is None or not found.tied:
            return replace(seen, reach=found.reach if found else seen.reach)
        mine = set(found.tied)
        pods = self.store.list(PODS, text(seen.model, "metadata", "namespace"))
        neighbours = [pod for pod in pods if not mine.isdisjoint(claims_of(pod))]
        return replace(seen, reach=found.reach, neighbours=neighbours)

    async def _their_claim(self, settings: Effective, now: float) -> Object | None:
        """The claim that users made, from the server: nobody tells when it changes."""
        place = settings.namespace, cache_claim(settings)
        known = self.looked.get(place)
        if known is not None and 0 <= now - known[0] < CLAIM_LASTS:
            return known[1]
        found = await self.client.get(CLAIMS, *place)
        self.looked.pop(place, None)
        if found is not None:
            if len(self.looked) >= _REMEMBERED:
                self.looked.clear()
            self.looked[place] = (now, found)
        return found

    async def _draft(
        self, settings: Effective, entries: Sequence[Entry], now: float
    ) -> DraftFacts | None:
        if settings.speculative is None:
            return None
        namespace, name = settings.namespace, settings.speculative.draft_model
        facts = DraftFacts(
            name=name, namespace=namespace, model=await self.find(MODELS, namespace, name)
        )
        if facts.model is None:
            return facts
        theirs, problem = await self._settings(facts.model)
        if theirs is None:
            return replace(facts, problem=problem)
        theirs = as_draft(self.store, theirs, facts.model, entries)
        if owns_claim(theirs):
            claim = await self.find(CLAIMS, namespace, naming.claim_name(theirs.key))
        else:
            claim = await self._their_claim(theirs, now)
        serving = [
            self.store.get(DEPLOYMENTS, namespace, entry.name)
            for entry in entries
            if entry.key == theirs.key
        ]
        recorded = [one for one in serving if one is not None]
        if not owns_claim(theirs):
            uid = uid_of(claim) if claim is not None else ""
            recorded = [one for one in recorded if same_claim(one, uid)]
        return replace(facts, settings=theirs, claim=claim, recorded_by=recorded)

    async def _settings(self, model: Object) -> tuple[Effective | None, Problem | None]:
        namespace = str(model["metadata"]["namespace"])
        try:
            parsed = read(Model, without_status(model))
            wanted = runner_name(parsed)
            runner = await self.find(MODEL_RUNNERS, namespace, wanted)
            if runner is None:
                return None, _no_runner(wanted, namespace)
            settings = settle(parsed, read(ModelRunner, without_status(runner)))
            check(settings)
        except ConfigurationError as error:
            return None, error.problem
        except ValueError as error:
            return None, Problem(Reason.INVALID_CONFIGURATION, f"spec: {error}")
        return settings, None

    async def _cache(self, seen: Observation, entries: Sequence[Entry]) -> Observation:
        settings = seen.settings
        if settings is None:
            return seen
        namespace = settings.namespace
        sharers = sharers_of(self.store, settings, uid_of(seen.model), entries)
        owners = [Owner("Model", sharer.name, sharer.uid) for sharer in sharers]
        theirs = [self.store.get(DEPLOYMENTS, namespace, owner.name) for owner in owners]
        seen = replace(
            seen,
            sharers=owners,
            claim_owners=claim_owners(self.store, settings, owners),
            recorded_by=[one for one in (seen.deployment, *theirs) if one is not None],
            stale_jobs=stale_jobs(self.store, settings, uid_of(seen.model), entries),
        )
        if owns_claim(settings):
            claim = await self.find(CLAIMS, namespace, naming.claim_name(settings.key))
            seen = replace(
                seen, claim=claim, unbound=await self.complaints.of_claim(claim, seen.now)
            )
        else:
            theirs_now = await self._their_claim(settings, seen.now)
            uid = uid_of(theirs_now) if theirs_now is not None else ""
            recorded = [one for one in seen.recorded_by if same_claim(one, uid)]
            seen = replace(seen, their_claim=theirs_now, recorded_by=recorded)
        shared = None if settings.in_place else settings.cache.existing_claim
        verify = naming.verify_job_name(settings.name, settings.key)
        return replace(
            seen,
            verify=await self._job(seen, verify),
            resolve=await self._job(seen, naming.resolve_job_name(settings.key, shared)),
            pull=await self._job(
                seen, naming.pull_job_name(settings.key, settings.cache.existing_claim)
            ),
        )

    async def _job(self, seen: Observation, name: str) -> JobAndPods | None:
        settings = seen.settings
        if settings is None:
            return None
        job: Object | None = self.store.get(JOBS, settings.namespace, name)
        if job is None and not _recorded(seen, settings):
            job = await self.find(JOBS, settings.namespace, name)
        if job is None:
            return None
        pods = self.store.by_label(PODS, settings.namespace, naming.ARTIFACT_LABEL, settings.key)
        # Pods of an earlier Job of that name may still be on their way out.
        mine = [pod for pod in pods if uid_of(job) in owner_uids(pod)]
        return await self.complaints.of_job(JobAndPods(job=job, pods=mine), seen.now)

    async def _ask_pods(self, seen: Observation) -> Observation:
        seen = replace(seen, statuses=await ask_runners(self.probe, _worth_asking(seen)))
        if seen.pull is not None:
            for pod in seen.pull.pods:
                ip = address(pod)
                if ip:
                    return replace(seen, progress=await self._progress(uid_of(pod), ip, seen.now))
        return seen

    async def _progress(self, pod: str, ip: str, now: float) -> Progress | None:
        """What a pull says, asked no more often than it is shown.

        The event of our own status write brings us back here: with an answer that has moved on
        each time, every write would be followed by the next.
        """
        known = self.told.get(pod)
        if known is not None and 0 <= now - known[0] < PROGRESS_LASTS:
            return known[1]
        found = await self.probe.progress(ip)
        if len(self.told) >= _REMEMBERED:
            self.told.clear()
        self.told[pod] = (now, found)
        return found


def runner_pods(store: Store, namespace: str, model: str) -> list[Object]:
    """The runner pods of a Model, those of earlier templates and those on their way out, too."""
    return [
        pod
        for pod in store.by_label(PODS, namespace, naming.MODEL_LABEL, model)
        if label(pod, naming.COMPONENT_LABEL) == naming.COMPONENT_RUNNER
    ]


def _worth_asking(seen: Observation) -> Sequence[Object]:
    """All runners; only the newest where nothing follows from what the others say."""
    pods = alive(seen.pods) if seen.settings is not None else []
    newest = look(seen.pods).newest
    return pods or ([newest] if newest is not None else [])


_WHOLE = frozenset({MODELS, MODEL_RUNNERS})


def _is_ours(obj: Object) -> bool:
    # A stranger's object never changes through a watch of ours: it must not grow old in the cache.
    return label(obj, naming.MANAGED_BY_LABEL) == naming.MANAGED_BY


def _recorded(seen: Observation, settings: Effective) -> bool:
    if owns_claim(settings):
        claim = seen.claim or {}
        return annotation(claim, naming.COMPLETE_ANNOTATION) == "true"
    known = seen.recorded_by
    return any(annotation(one, naming.ARTIFACT_KEY_ANNOTATION) == settings.key for one in known)


def _no_runner(name: str, namespace: str) -> Problem:
    return Problem(
        Reason.RUNNER_NOT_FOUND,
        f"there is no ModelRunner {name} in the namespace {namespace}: create it or set spec.runner",
    )
