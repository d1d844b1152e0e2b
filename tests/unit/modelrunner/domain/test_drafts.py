"""The draft model of a Model: whose weights it is, and what is said while there are none."""

from dataclasses import replace
from typing import Any

import pytest

from modelrunner.domain import naming
from modelrunner.domain.drafts import Draft, DraftFacts, decide_draft, draft_of, weights_seal
from modelrunner.domain.objects import Object
from modelrunner.domain.problem import Problem
from modelrunner_protocol.codec import encode
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Artifact, WeightsFile
from tests.unit.modelrunner.domain.settings_of import CLAIM, HTTP, settings_of

ARTIFACT = Artifact(
    format="gguf",
    size_bytes=3,
    files=(WeightsFile(path="d.gguf", size_bytes=3),),
    digest="sha256:d",
)
COMPLETE = {
    naming.ARTIFACT_ANNOTATION: encode(ARTIFACT),
    naming.COMPLETE_ANNOTATION: "true",
}


def model(*, status: str = "", reason: str = "", message: str = "", **metadata: Any) -> Object:
    """A Model named d that says this of its weights."""
    told = {"type": "Cached", "status": status, "reason": reason, "message": message}
    return {
        "metadata": {"name": "d", "namespace": "ml", **metadata},
        "status": {"conditions": [told] if status else []},
    }


def facts(**more: Any) -> DraftFacts:
    """A draft whose cache claim is complete."""
    claim: Object = {"metadata": {"name": "c", "annotations": COMPLETE}}
    usual: dict[str, Any] = {"model": model(), "settings": settings_of(), "claim": claim}
    return DraftFacts(name="d", namespace="ml", **{**usual, **more})


def missing(found: DraftFacts) -> Problem:
    """Why there is no draft."""
    problem = decide_draft(found)
    assert isinstance(problem, Problem)
    return problem


def test_a_complete_cache_is_enough() -> None:
    """Whatever state the other Model is in: it may sleep."""
    found = facts()
    expected = Draft(settings=settings_of(), artifact=ARTIFACT, claim=found.claim)
    assert decide_draft(found) == expected


def test_weights_that_only_a_deployment_knows() -> None:
    """On a user's own volume nothing of ours is written down; the Deployment knows the artifact."""
    settings = settings_of(CLAIM)
    claim = {"persistentVolumeClaim": {"claimName": "mine"}}
    deployment = {
        "metadata": {
            "annotations": {
                naming.ARTIFACT_KEY_ANNOTATION: settings.key,
                naming.ARTIFACT_ANNOTATION: encode(ARTIFACT),
            }
        },
        "spec": {"template": {"spec": {"volumes": [claim]}}},
    }
    found = facts(settings=settings, claim=None, recorded_by=[deployment])
    assert decide_draft(found) == Draft(settings=settings, artifact=ARTIFACT)
    assert missing(replace(found, recorded_by=[])).reason is Reason.RESOLVING


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": None}, "there is no Model d in the namespace ml: create it"),
        ({"model": model(deletionTimestamp="now")}, "is being deleted"),
        ({"settings": None}, "cannot be used: it cannot be read"),
        (
            {"settings": None, "problem": Problem(Reason.RUNNER_NOT_FOUND, "no ModelRunner x")},
            "cannot be used: no ModelRunner x",
        ),
        ({"settings": settings_of(HTTP | {"config": {"mode": "embedding"}})}, "in mode embedding"),
    ],
)
def test_a_model_that_can_be_no_draft(change: dict[str, Any], words: str) -> None:
    """InvalidConfiguration with the field and the mend."""
    found = missing(facts(**change))
    assert found.reason is Reason.INVALID_CONFIGURATION
    assert found.message.startswith("spec.config.speculative.draftModel: ")
    assert words in found.message


@pytest.mark.parametrize(
    ("told", "reason", "words"),
    [
        (model(), Reason.RESOLVING, "waiting for the draft model d to be looked at"),
        (
            model(status="False", reason="Pulling", message="pulling x (1 GiB)"),
            Reason.PULLING,
            "waiting for the draft model d: pulling x (1 GiB)",
        ),
        (
            model(status="False", reason="PullFailed", message="the server said 404"),
            Reason.PULL_FAILED,
            "the draft model d has no weights: the server said 404",
        ),
        (model(status="False", reason="New", message="m"), Reason.RESOLVING, "draft model d: m"),
        (model(status="True", reason="Cached"), Reason.RESOLVING, "to be looked at"),
    ],
)
def test_weights_on_their_way(told: Object, reason: Reason, words: str) -> None:
    """What the other Model says of its weights is said here, too."""
    found = missing(facts(model=told, claim=None))
    assert found.reason is reason
    assert words in found.message


def test_a_cache_that_goes() -> None:
    """A claim on its way out is none, complete as it may be."""
    going = {"metadata": {"annotations": COMPLETE, "deletionTimestamp": "now"}}
    assert missing(facts(claim=going)).reason is Reason.RESOLVING


def test_who_drafts() -> None:
    """The name as it is stored."""
    spec = {"config": {"speculative": {"draftModel": "d"}}}
    assert draft_of({"spec": spec}) == "d"
    assert draft_of({"spec": {}}) == ""


def test_what_makes_others_look_again() -> None:
    """Another source and another state of the weights; not that somebody used the model."""
    seal = weights_seal(model(status="True"))
    used = model(status="True")
    used["status"]["lastUsedTime"] = "now"
    assert weights_seal(used) == seal
    for other in (
        model(status="False"),
        model(status="True", generation=2),
        model(status="True", deletionTimestamp="now"),
        model(status="True", message="other"),
    ):
        assert weights_seal(other) != seal
