"""The draft model of a Model: another Model, whose weights are read where its own cache has them.

Nothing is pulled here and nothing of the other Model is changed; its own reconciler fills its
cache. What is said of a draft that is not there yet is what its own status says.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from modelrunner.api.v1alpha1.values import ConditionType
from modelrunner.domain.cache import CacheFacts, recorded
from modelrunner.domain.conditions import find
from modelrunner.domain.effective import Effective
from modelrunner.domain.objects import Object, being_deleted, number, text
from modelrunner.domain.problem import Problem
from modelrunner_protocol.reasons import PROGRESSING, Reason
from modelrunner_protocol.wire import Artifact, Mode

_FIELD = "spec.config.speculative.draftModel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Complete weights of a draft; `settings` are those of the Model that has them.

    `claim` is where they lie, as it was looked at.
    """

    settings: Effective
    artifact: Artifact
    claim: Object | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftFacts:
    """What was observed of the Model `name`, which is to be a draft.

    `model` None: there is none. `settings` None: it cannot be used, and `problem` says why.
    `claim` is its own cache claim, or the one that users made for it; `recorded_by` are Deployments
    of Models with its source.
    """

    name: str
    namespace: str
    model: Object | None
    settings: Effective | None = None
    problem: Problem | None = None
    claim: Object | None = None
    recorded_by: Sequence[Object] = ()


def decide_draft(facts: DraftFacts) -> Draft | Problem:
    """The draft's weights, or why there are none; a reason that passes by itself: wait."""
    model, settings, unfit = facts.model, facts.settings, _unfit(facts)
    if unfit or model is None or settings is None:
        return Problem(Reason.INVALID_CONFIGURATION, f"{_FIELD}: {unfit}")
    gone = facts.claim is not None and being_deleted(facts.claim)
    known = CacheFacts(claim=facts.claim, recorded_by=facts.recorded_by, resolve=None, pull=None)
    artifact = None if gone else recorded(settings, known)
    if artifact is None:
        return _awaited(facts.name, model)
    return Draft(settings=settings, artifact=artifact, claim=facts.claim)


def _unfit(facts: DraftFacts) -> str:
    """Why a Model can be nobody's draft, "" for one that can."""
    name, model, settings = facts.name, facts.model, facts.settings
    if model is None:
        where = f"in the namespace {facts.namespace}"
        return f"there is no Model {name} {where}: create it, or name another"
    if being_deleted(model):
        return f"the Model {name} is being deleted: name another"
    if settings is None:
        why = facts.problem.message if facts.problem is not None else "it cannot be read"
        return f"the Model {name} cannot be used: {why}"
    if settings.mode is not Mode.COMPLETION:
        return f"the Model {name} is in mode {settings.mode}: name one in mode completion"
    return ""


def draft_of(model: Object) -> str:
    """The Model that a Model, as stored, names as its draft; "" when it names none."""
    return text(model, "spec", "config", "speculative", "draftModel")


def weights_seal(model: Object) -> tuple[object, ...]:
    """Another value means that those who draft with this Model have to look again."""
    told = find(model.get("status"), ConditionType.CACHED)
    said = tuple(text(told, part) for part in ("status", "reason", "message"))
    version = text(model, "status", "source", "key")
    return number(model, "metadata", "generation"), being_deleted(model), version, said


def _awaited(name: str, model: Object) -> Problem:
    """What its own status says of its weights."""
    told = find(model.get("status"), ConditionType.CACHED)
    status, message = text(told, "status"), text(told, "message")
    try:
        reason = Reason(text(told, "reason"))
    except ValueError:
        reason = Reason.RESOLVING
    if told is None or status != "False":
        # Its status is a moment older or younger than its claim.
        return Problem(Reason.RESOLVING, f"waiting for the draft model {name} to be looked at")
    if reason in PROGRESSING:
        return Problem(reason, f"waiting for the draft model {name}: {message}")
    return Problem(reason, f"the draft model {name} has no weights: {message}")
