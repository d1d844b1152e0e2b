"""The claims of a Model's pods as they were observed, and pods that do not show what they mount."""

from collections.abc import Iterator, Sequence

from modelrunner.domain import volumes
from modelrunner.domain.cache import owns_claim
from modelrunner.domain.drafts import Draft, decide_draft
from modelrunner.domain.naming import FIELD_MANAGER, cache_label
from modelrunner.domain.objects import Object, dig, name_of, text, uid_of
from modelrunner.domain.problem import Problem
from modelrunner.domain.scheduling import claims_of
from modelrunner.domain.volumes import Mounts, Reach
from modelrunner.kube.resources import DEPLOYMENTS, JOBS, PODS
from modelrunner.reconcilers.observation import Observation
from modelrunner.reconcilers.plan import Apply, Create, Patch, Step
from modelrunner.render.serving import mounts_of


def mounted_claim(seen: Observation) -> Object | None:
    """The claim that has the weights, whoever made it."""
    if seen.settings is None:
        return None
    return seen.claim if owns_claim(seen.settings) else seen.their_claim


def mounts(seen: Observation) -> Mounts | None:
    """The claims of the Model's runners; None without settings."""
    if seen.settings is None:
        return None
    draft = decide_draft(seen.draft) if seen.draft is not None else None
    found = draft if isinstance(draft, Draft) else None
    return mounts_of(seen.settings, mounted_claim(seen), found)


def beside(seen: Observation) -> str | None:
    """The draft's claim where the own one has no volume yet, which then comes to the same node.

    A volume that is bound already stays where it is.
    """
    found = mounts(seen)
    placed = seen.claim is not None and text(seen.claim, "status", "phase") == "Bound"
    if found is None or found.draft is None or placed or seen.their_claim is not None:
        return None
    return found.draft.claim if found.draft.reach is Reach.NODE else None


def can_be_filled(seen: Observation) -> bool:
    """Whether something can be pulled onto the claim that has the weights."""
    found = mounts(seen)
    return found is None or found.cache.writable


def claim_problem(seen: Observation) -> Problem | None:
    """Why a claim that users made cannot be used."""
    if seen.settings is None:
        return None
    return volumes.claim_problem(seen.settings, seen.their_claim)


def labelled(pods: Sequence[Object], steps: Sequence[Step]) -> Iterator[Step]:
    """What comes before steps that make pods which look for others: those others get the label.

    An older operator made them without it.
    """
    wanted = {claim for step in steps for claim in _tied(step)}
    for pod, missing in volumes.unlabelled(pods, sorted(wanted)):
        body = {"metadata": {"labels": missing}}
        yield Patch(PODS, name_of(pod), uid_of(pod), body, FIELD_MANAGER)


def _tied(step: Step) -> list[str]:
    """The claims by which the pods of a step look for others."""
    if not isinstance(step, Apply | Create) or step.resource not in {DEPLOYMENTS, JOBS}:
        return []
    template = dig(step.body, "spec", "template") or {}
    labels = dig(template, "metadata", "labels") or {}
    return [claim for claim in claims_of(template) if cache_label(claim) in labels]
