"""Verification on demand: the Job, its answer, and what follows from it. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from modelrunner.domain.cache import CacheDecision, JobWish, owns_claim
from modelrunner.domain.effective import Effective, OperatorDefaults
from modelrunner.domain.jobs import JobState, JobView
from modelrunner.domain.naming import RENEWED_ANNOTATION, VERIFY_ANNOTATION
from modelrunner.domain.objects import annotation, dig, name_of, text, uid_of
from modelrunner.domain.verification import (
    DAMAGED,
    SOUND,
    Verification,
    VerifyFacts,
    decide_verification,
    verified_digest,
    verified_status,
)
from modelrunner.kube.resources import JOBS
from modelrunner.reconcilers.mounting import can_be_filled, mounted_claim
from modelrunner.reconcilers.observation import Observation
from modelrunner.reconcilers.plan import Create, Delete, Event, Step
from modelrunner.render import jobs
from modelrunner.render.common import Owner
from modelrunner_protocol.wire import Artifact


def verification_of(
    seen: Observation, settings: Effective, pull: JobView | None, resolve: JobView | None
) -> Verification:
    """What the request to verify has come to."""
    found = seen.verify
    pulled = pull is not None and pull.state is JobState.SUCCEEDED
    return decide_verification(
        VerifyFacts(
            now=seen.now,
            model=seen.model,
            key=settings.key,
            job=found.job if found is not None else None,
            view=found.view(seen.now) if found is not None else None,
            owned=owns_claim(settings),
            in_place=settings.in_place or not can_be_filled(seen),
            renewed=annotation(seen.claim or {}, RENEWED_ANNOTATION),
            repaired=pulled or (resolve is not None and resolve.cached),
        )
    )


def verify_steps(
    seen: Observation,
    settings: Effective,
    defaults: OperatorDefaults,
    cache: CacheDecision,
    found: Verification,
) -> Iterator[Step]:
    """The Job that verifies: made once the cache is complete, taken away when it has answered."""
    if found.job is JobWish.NONE and seen.verify is not None:
        yield Delete(JOBS, name_of(seen.verify.job), uid_of(seen.verify.job))
    if found.job is JobWish.CREATE and cache.complete and cache.artifact is not None:
        owner = Owner("Model", name_of(seen.model), uid_of(seen.model))
        request = annotation(seen.model, VERIFY_ANNOTATION)
        expected = expected_of(seen, settings, cache.artifact)
        claim = mounted_claim(seen)
        job = jobs.verify_job(settings, defaults, owner, request, expected, claim)
        yield Create(JOBS, job)


def expected_of(seen: Observation, settings: Effective, artifact: Artifact) -> Artifact:
    """What is to be found: of a single file in place, what was found the last time.

    Of several files in place only the digest of all is known, and nothing to compare each with.
    """
    digest = verified_digest(verified_status(dig(seen.model, "status") or {}, None, settings.key))
    if not settings.in_place or not digest or len(artifact.files) != 1:
        return artifact
    known = replace(artifact.files[0], sha256=digest.removeprefix("sha256:"))
    return replace(artifact, files=(known,), digest=digest)


def renewal(seen: Observation, settings: Effective, found: Verification) -> str:
    """The mark of the cache that pods are made for; "" for one that never was renewed."""
    if owns_claim(settings):
        return annotation(seen.claim or {}, RENEWED_ANNOTATION)
    template = dig(seen.deployment, "spec", "template") or {}
    return (found.mark if found.verified else "") or annotation(template, RENEWED_ANNOTATION)


def with_verified(
    seen: Observation, status: Mapping[str, Any], found: Verification | None
) -> dict[str, Any]:
    """A status with the last answer; weights in place have their digest from it."""
    old = seen.model.get("status") or {}
    settings = seen.settings
    if settings is None:
        known = old.get("verified")
        return {**status, "verified": known} if known else dict(status)
    verified = verified_status(old, found, settings.key)
    if verified is None:
        return dict(status)
    told = {**status, "verified": verified}
    artifact, digest = status.get("artifact"), verified_digest(verified)
    if settings.in_place and digest and artifact and not artifact.get("digest"):
        told["artifact"] = {**artifact, "digest": digest}
    return told


def verify_events(seen: Observation, found: Verification | None) -> Iterator[Event]:
    """The answer, once."""
    if found is None or found.verified is None:
        return
    if found.verified["request"] == text(seen.model, "status", "verified", "request"):
        return
    result, message = found.verified["result"], found.verified["message"]
    reasons = {SOUND: "Verified", DAMAGED: "CacheDamaged"}
    good = result == SOUND
    yield Event("Normal" if good else "Warning", reasons.get(result, "VerifyFailed"), message)
