"""What is written to the cache claim of a Model: made, kept right, made larger. Pure."""

from collections.abc import Iterator
from typing import Any

from modelrunner.domain.cache import CacheDecision
from modelrunner.domain.effective import Effective
from modelrunner.domain.growth import asked_bytes
from modelrunner.domain.naming import FIELD_MANAGER
from modelrunner.domain.objects import Object, name_of, text, uid_of
from modelrunner.domain.quantities import parse_quantity
from modelrunner.kube.resources import CLAIMS
from modelrunner.reconcilers.observation import Observation
from modelrunner.reconcilers.plan import Apply, Delete, Patch, Step
from modelrunner.reconcilers.settling import settled
from modelrunner.render import claims
from modelrunner_protocol.wire import Artifact


def claim_steps(
    seen: Observation, settings: Effective, cache: CacheDecision, artifact: Artifact
) -> Iterator[Step]:
    """The claim as the next step needs it."""
    if not _wanted(seen, cache):
        return
    body = claims.claim(
        settings,
        artifact,
        seen.claim_owners,
        seen.claim,
        complete=cache.complete,
        at_least=cache.at_least,
    )
    if seen.claim is not None and _larger(seen.claim, body) and _unbound(seen.claim):
        # A claim without a volume holds nothing, and cannot be changed either.
        yield Delete(CLAIMS, name_of(seen.claim), uid_of(seen.claim))
    elif seen.claim is None or not settled(seen.claim, body):
        yield Apply(CLAIMS, body)


def growth_steps(seen: Observation, settings: Effective, cache: CacheDecision) -> Iterator[Step]:
    """A raised cache.size, for a claim that has all it needs: nobody waits for it."""
    size, claim = settings.cache.size, seen.claim
    if not cache.complete or claim is None or size is None or _unbound(claim):
        return
    if parse_quantity(size) > asked_bytes(claim):
        body = {"spec": {"resources": {"requests": {"storage": size}}}}
        yield Patch(CLAIMS, name_of(claim), uid_of(claim), body, FIELD_MANAGER, optional=True)


def _wanted(seen: Observation, cache: CacheDecision) -> bool:
    if cache.wants_claim or seen.pull is not None:
        return True
    return seen.claim is not None and cache.problem is None


def _larger(claim: Object, body: dict[str, Any]) -> bool:
    return asked_bytes(body) > asked_bytes(claim)


def _unbound(claim: Object) -> bool:
    return text(claim, "status", "phase") == "Pending" and not text(claim, "spec", "volumeName")
