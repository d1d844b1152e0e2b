"""Which Models want the same bytes at the same place, and so share Jobs and a claim."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from modelrunner.api.v1alpha1 import Model, ModelRunner, Retention
from modelrunner.api.v1alpha1 import defaults as absent
from modelrunner.domain import naming
from modelrunner.domain.cache import cache_claim
from modelrunner.domain.effective import Effective, runner_name, settle
from modelrunner.domain.objects import (
    Object,
    being_deleted,
    dig,
    label,
    name_of,
    owner_uids,
    text,
)
from modelrunner.domain.validation import read
from modelrunner.kube.resources import JOBS, MODEL_RUNNERS, MODELS
from modelrunner.kube.store import Store
from modelrunner.reconcilers.index import Entry
from modelrunner.render.common import Owner


def sharers_of(
    store: Store, settings: Effective, uid: str, entries: Sequence[Entry]
) -> list[Entry]:
    """The Models that want this version at this place, the one with `uid` included, oldest first.

    Equal weights on another claim are another pull.
    """
    place = "" if settings.in_place else settings.cache.existing_claim or ""
    found = [
        entry
        for entry in entries
        # Its own status may not yet say which version it wants.
        if entry.uid == uid
        or (entry.key == settings.key and _place(store, settings.namespace, entry) == place)
    ]
    found = [entry for entry in found if not entry.deleting]
    return sorted(found, key=lambda entry: entry.age_order)


def stale_jobs(
    store: Store, settings: Effective, uid: str, entries: Sequence[Entry]
) -> list[Object]:
    """Jobs of this Model that nobody wants any more who owns them."""
    living = {entry.uid: entry for entry in entries if not entry.deleting}
    mine = frozenset(_jobs_of_settings(settings))

    def wanted(job: Object, owner: str) -> bool:
        if owner == uid:
            return name_of(job) in mine
        entry = living.get(owner)
        return entry is not None and _may_want(store, settings.namespace, entry, job)

    return [
        job
        for job in store.list(JOBS, settings.namespace)
        if uid in owner_uids(job)
        and not being_deleted(job)
        and not any(wanted(job, owner) for owner in owner_uids(job))
    ]


def claim_owners(store: Store, settings: Effective, sharers: Sequence[Owner]) -> list[Owner]:
    """Every Model that shares the claim, unless one of them wants it retained."""
    if settings.cache.retention is Retention.RETAIN:
        return []
    owners = []
    for sharer in sharers:
        retention = _retention(store, settings, sharer)
        if retention is Retention.RETAIN:
            return []
        if retention is not None:
            owners.append(sharer)
    return owners


def without_status(obj: Object) -> Mapping[str, Any]:
    """An object as a user has written it."""
    return {key: value for key, value in obj.items() if key != "status"}


def _retention(store: Store, settings: Effective, sharer: Owner) -> Retention | None:
    model = store.get(MODELS, settings.namespace, sharer.name)
    if model is None or sharer.name == settings.name:
        return settings.cache.retention
    try:
        parsed = read(Model, without_status(model))
        runner = store.get(MODEL_RUNNERS, settings.namespace, runner_name(parsed))
        if runner is None:
            return Retention.RETAIN
        other = settle(parsed, read(ModelRunner, without_status(runner)))
    except ValueError:
        return Retention.RETAIN
    same = cache_claim(replace(other, key=settings.key)) == cache_claim(settings)
    return other.cache.retention if same else None


def _place(store: Store, namespace: str, entry: Entry) -> str:
    """The claim that a user made for a Model's weights; "": one of ours, or none is filled."""
    model = store.get(MODELS, namespace, entry.name)
    if dig(model, "spec", "source", "persistentVolumeClaim") is not None:
        return ""
    runner = text(model, "spec", "runner") or absent.RUNNER
    return text(store.get(MODEL_RUNNERS, namespace, runner), "spec", "cache", "existingClaim")


def _jobs_of_settings(settings: Effective) -> Iterator[str]:
    shared = None if settings.in_place else settings.cache.existing_claim
    # An older operator, or the settings before this claim, looked without the claim mounted: that
    # name is none of these where there is one.
    yield naming.resolve_job_name(settings.key, shared)
    yield naming.pull_job_name(settings.key, settings.cache.existing_claim)
    yield naming.verify_job_name(settings.name, settings.key)
    yield naming.refresh_job_name(settings.source_key)


def _may_want(store: Store, namespace: str, entry: Entry, job: Object) -> bool:
    """Whether another Model wants a Job; of one that cannot be read nobody knows."""
    if entry.key is None or entry.source_key is None:
        return True
    if name_of(job) == naming.refresh_job_name(entry.source_key):
        return True
    if label(job, naming.ARTIFACT_LABEL) != entry.key:
        return False
    place = _place(store, namespace, entry) or None
    return name_of(job) in {
        naming.resolve_job_name(entry.key, place),
        naming.pull_job_name(entry.key, place),
    }
