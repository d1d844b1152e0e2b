"""Which versions of a source there are, out of what is cached of claims and Deployments."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from modelrunner.domain import naming
from modelrunner.domain.cache import CacheFacts, cache_claim, owns_claim, recorded, serves, written
from modelrunner.domain.claim_users import claims_of
from modelrunner.domain.effective import Effective
from modelrunner.domain.objects import (
    Object,
    annotation,
    being_deleted,
    created_at,
    label,
    name_of,
    owner_uids,
    parse_time,
    text,
    uid_of,
)
from modelrunner.domain.refresh import has_moved, read_state
from modelrunner.domain.versions import (
    Version,
    choose_version,
    newest_version,
    served_version,
    written_version,
)
from modelrunner.kube.resources import CLAIMS, DEPLOYMENTS, JOBS, MODELS, PODS
from modelrunner.kube.store import Store
from modelrunner.reconcilers.index import Entry
from modelrunner.reconcilers.observation import JobAndPods, Observation
from modelrunner.reconcilers.refreshing import look_of


def at_wanted_version(
    store: Store, settings: Effective, model: Object, entries: Sequence[Entry]
) -> Effective:
    """The settings with the version of its source that a Model wants."""
    deployment = store.get(DEPLOYMENTS, settings.namespace, settings.name)
    key = written_version(model, settings.source_key, deployment)
    if key is None:
        key = newest_version(_known(store, settings, entries)) or settings.source_key
    return replace(settings, key=key)


def as_draft(
    store: Store, settings: Effective, model: Object, entries: Sequence[Entry]
) -> Effective:
    """The settings of a draft, with the newest version of it that is there whole.

    While a newer one is pulled, what its own Deployment serves goes on being the draft.
    """
    wanted = at_wanted_version(store, settings, model, entries)
    deployment = store.get(DEPLOYMENTS, settings.namespace, settings.name)
    served = served_version(deployment, settings.source_key)
    if served in {None, wanted.key} or _whole(store, wanted, entries):
        return wanted
    former = replace(settings, key=served)
    return former if _whole(store, former, entries) else wanted


def with_versions(store: Store, seen: Observation, entries: Sequence[Entry]) -> Observation:
    """The observation with the look that there is, and with the source's other versions."""
    settings = seen.settings
    if settings is None or settings.in_place:
        return seen
    look = _look(store, settings)
    seen = replace(seen, refresh=look)
    if not owns_claim(settings):
        return seen
    others = [one for one in _family(store, settings) if _key(one) != settings.key]
    return replace(seen, versions=others, unused=_unused(store, settings, others, entries))


def moved(store: Store, seen: Observation, entries: Sequence[Entry]) -> Effective | None:
    """The settings with the version that a look has found; None: the source has not moved."""
    settings, look = seen.settings, look_of(seen)
    if settings is None or look is None:
        return None
    facts = CacheFacts(claim=seen.claim, recorded_by=seen.recorded_by, resolve=None, pull=None)
    artifact = recorded(settings, facts)
    if artifact is None and look.mine and seen.claim is not None:
        artifact = written(seen.claim)
    state = read_state(seen.model, settings.source_key, settings.key)
    found = look.view.artifact
    if found is None or not has_moved(artifact, look, state):
        return None
    if not look.mine and settings.refresh is None:
        request = annotation(seen.model, naming.REFRESH_ANNOTATION)
        if request in {"", state.handled}:
            return None
    known = _known(store, settings, entries)
    return replace(settings, key=choose_version(settings.source_key, found, known))


def _look(store: Store, settings: Effective) -> JobAndPods | None:
    namespace, key = settings.namespace, settings.source_key
    job = store.get(JOBS, namespace, naming.refresh_job_name(key))
    if job is None:
        return None
    pods = store.by_label(PODS, namespace, naming.ARTIFACT_LABEL, key)
    return JobAndPods(job=job, pods=[pod for pod in pods if uid_of(job) in owner_uids(pod)])


def _family(store: Store, settings: Effective) -> list[Object]:
    """The operator's own claims of a source's versions; those of older operators have no label."""
    namespace, key = settings.namespace, settings.source_key
    found = store.by_label(CLAIMS, namespace, naming.SOURCE_KEY_LABEL, key)
    first = store.get(CLAIMS, namespace, naming.claim_name(key))
    if first is not None and all(uid_of(one) != uid_of(first) for one in found):
        found = [first, *found]
    return [one for one in found if not being_deleted(one)]


def _key(claim: Object) -> str:
    return label(claim, naming.ARTIFACT_LABEL)


def _known(store: Store, settings: Effective, entries: Sequence[Entry]) -> list[Version]:
    if settings.in_place:
        return []
    if owns_claim(settings):
        return [
            Version(
                key=_key(claim),
                artifact=written(claim),
                complete=annotation(claim, naming.COMPLETE_ANNOTATION) == "true",
                age_order=(created_at(claim), name_of(claim)),
            )
            for claim in _family(store, settings)
        ]
    return list(_served(store, settings, entries))


def _served(store: Store, settings: Effective, entries: Sequence[Entry]) -> Iterable[Version]:
    """On a shared claim: what Deployments of Models with an equal source serve from it."""
    namespace, claim = settings.namespace, cache_claim(settings)
    for entry in entries:
        if entry.source_key != settings.source_key or entry.deleting:
            continue
        deployment = store.get(DEPLOYMENTS, namespace, entry.name)
        key = served_version(deployment, settings.source_key)
        artifact = serves(deployment, key, claim) if key else None
        if key and artifact is not None:
            model = store.get(MODELS, namespace, entry.name)
            checked = parse_time(text(model, "status", "source", "checkedTime")) or 0.0
            yield Version(
                key=key, artifact=artifact, complete=True, age_order=(checked, entry.name)
            )


def _whole(store: Store, settings: Effective, entries: Sequence[Entry]) -> bool:
    return any(one.key == settings.key and one.complete for one in _known(store, settings, entries))


def _unused(
    store: Store, settings: Effective, claims: Sequence[Object], entries: Sequence[Entry]
) -> frozenset[str]:
    """Names of claims that no Model wants, and that nothing mounts or would on its next start."""
    wanted = {entry.key for entry in entries if not entry.deleting}
    free = {name_of(claim) for claim in claims if _key(claim) not in wanted}
    if not free:
        return frozenset()
    holders = (
        holder
        for resource in (DEPLOYMENTS, JOBS, PODS)
        for holder in store.list(resource, settings.namespace)
    )
    return frozenset(free.difference(*(claims_of(holder) for holder in holders)))
