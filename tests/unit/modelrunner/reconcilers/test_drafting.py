"""Plans of a Model with a draft: its runner waits for the draft's weights, and follows them."""

from dataclasses import replace
from typing import Any

from modelrunner.domain import naming
from modelrunner.domain.drafts import DraftFacts
from modelrunner.domain.objects import items
from modelrunner.kube.resources import DEPLOYMENTS
from modelrunner.reconcilers.observation import Observation
from modelrunner.reconcilers.plan import Apply
from modelrunner.reconcilers.planning import plan_model
from modelrunner_protocol.codec import encode
from modelrunner_protocol.wire import Outcome
from tests.unit.modelrunner.domain.settings_of import HTTP, OCI, settings_of
from tests.unit.modelrunner.reconcilers.test_planning import advance, walk
from tests.unit.modelrunner.reconcilers.worlds import ARTIFACT, DEFAULTS, job_ended, start

SPEC: dict[str, Any] = HTTP | {"config": {"speculative": {"draftModel": "d"}}}


def with_draft(seen: Observation, *, digest: str = "", model: bool = True) -> Observation:
    """The draft is there, with these weights in its cache."""
    told = {"type": "Cached", "status": "False", "reason": "Pulling", "message": "pulling it"}
    claim = None
    if digest:
        artifact = encode(replace(ARTIFACT, digest=digest))
        notes = {naming.ARTIFACT_ANNOTATION: artifact, naming.COMPLETE_ANNOTATION: "true"}
        claim = {"metadata": {"name": "c", "annotations": notes}}
    found = DraftFacts(
        name="d",
        namespace="ml",
        model={"metadata": {"name": "d"}, "status": {"conditions": [told]}} if model else None,
        settings=settings_of(OCI) if model else None,
        claim=claim,
    )
    return replace(seen, draft=found)


def reasons(seen: Observation) -> dict[str, str]:
    """What the conditions of a Model say: reasons by type."""
    return {one["type"]: one["reason"] for one in seen.model["status"]["conditions"]}


def deployed(seen: Observation) -> list[dict[str, Any]]:
    """The Deployments that the next plan writes."""
    steps = plan_model(seen, DEFAULTS).steps
    return [s.body for s in steps if isinstance(s, Apply) and s.resource == DEPLOYMENTS]


def pulled(seen: Observation) -> Observation:
    """Its own weights are on the volume."""
    found = Outcome(artifact=ARTIFACT)
    seen = advance(seen)
    seen = advance(replace(seen, resolve=job_ended(seen.resolve, "resolve", found)))
    return advance(replace(seen, pull=job_ended(seen.pull, "pull", found)))


def test_a_model_waits_for_its_draft() -> None:
    """Its own weights are pulled meanwhile; nothing runs until both are there."""
    seen = pulled(with_draft(start(SPEC)))
    assert seen.deployment is None
    assert reasons(seen) == {"Ready": "Pulling", "Cached": "Cached", "Reconciling": "Pulling"}
    message = seen.model["status"]["conditions"][0]["message"]
    assert message == "waiting for the draft model d: pulling it"
    seen = walk(with_draft(start(SPEC), digest="sha256:d"))
    assert reasons(seen)["Ready"] == "Ready"
    volumes = items(seen.deployment, "spec", "template", "spec", "volumes")
    assert "draft" in {one["name"] for one in volumes}


def test_a_draft_that_is_not_there() -> None:
    """Somebody has to act, and is told what to do."""
    seen = pulled(with_draft(start(SPEC), model=False))
    assert seen.deployment is None
    assert reasons(seen)["Stalled"] == "InvalidConfiguration"


def test_another_draft_rolls_the_runners() -> None:
    """New weights of the draft are served like new weights of the Model itself."""
    seen = walk(with_draft(start(SPEC), digest="sha256:d"))
    assert deployed(seen) == []
    assert len(deployed(with_draft(seen, digest="sha256:e"))) == 1
    # While they are on their way, what serves goes on serving with those from before.
    waiting = advance(with_draft(seen))
    assert deployed(waiting) == []
    assert reasons(waiting) == {"Ready": "Ready", "Cached": "Cached", "Reconciling": "Pulling"}


def test_a_draft_that_goes_while_it_is_used() -> None:
    """The runners keep what they have mounted; the condition says what to mend."""
    seen = walk(with_draft(start(SPEC), digest="sha256:d"))
    gone = advance(with_draft(seen, model=False))
    assert deployed(gone) == []
    assert reasons(gone) == {
        "Ready": "Ready",
        "Cached": "Cached",
        "Stalled": "InvalidConfiguration",
    }
    told = gone.model["status"]["conditions"][2]["message"]
    assert "there is no Model d in the namespace ml: create it, or name another" in told
