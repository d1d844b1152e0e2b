"""What is written to a cache claim, and what a renewed one means to the pods."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modelrunner.domain import naming
from modelrunner.domain.objects import annotation
from modelrunner.kube.resources import CLAIMS, DEPLOYMENTS
from modelrunner.reconcilers.claiming import claim_pods
from modelrunner.reconcilers.observation import Observation
from modelrunner.reconcilers.plan import Apply, Delete, Patch, Step
from modelrunner.reconcilers.planning import plan_model
from modelrunner_protocol.wire import Outcome
from tests.unit.modelrunner.domain.pod_json import Object, pod
from tests.unit.modelrunner.domain.settings_of import HTTP
from tests.unit.modelrunner.reconcilers.worlds import (
    ARTIFACT,
    DEFAULTS,
    after,
    job_ended,
    ready_pods,
    rolled_out,
    start,
)


def served(runner: dict[str, Any] | None = None) -> Observation:
    """A Model whose claim is bound and complete, and whose runner is ready."""
    seen = start(HTTP, runner)
    seen = after(seen, plan_model(seen, DEFAULTS))
    seen = replace(seen, resolve=job_ended(seen.resolve, "resolve", Outcome(artifact=ARTIFACT)))
    seen = after(seen, plan_model(seen, DEFAULTS))
    seen = replace(seen, pull=job_ended(seen.pull, "pull", Outcome(artifact=ARTIFACT)))
    seen = after(seen, plan_model(seen, DEFAULTS))
    deployment = rolled_out(seen.deployment)
    claim = {**(seen.claim or {}), "status": {"phase": "Bound", "capacity": {"storage": "2Gi"}}}
    return replace(
        seen,
        claim=claim,
        deployment=deployment,
        recorded_by=[deployment],
        pods=ready_pods(),
        resolve=None,
        pull=None,
    )


def steps(seen: Observation) -> list[Step]:
    """What a look leads to."""
    return list(plan_model(seen, DEFAULTS).steps)


def annotated(claim: Mapping[str, Any] | None, **notes: str) -> Object:
    """A claim with more annotations."""
    found = dict(claim or {})
    meta = found["metadata"]
    known = meta["annotations"] | {f"modelrunner.dev/{key}": value for key, value in notes.items()}
    return {**found, "metadata": {**meta, "annotations": known}}


def test_a_claim_is_taken_before_it_is_used() -> None:
    """The mark goes first of all steps, by the manager whose it is; one that goes is left alone."""
    seen = served()
    assert steps(seen) == []
    claim = annotated(seen.claim, **{"unused-since": "2026-01-01T00:00:00Z"})
    (first,) = steps(replace(seen, claim=claim))
    assert isinstance(first, Patch)
    assert first.body == {"metadata": {"annotations": {naming.UNUSED_ANNOTATION: None}}}
    assert first.manager == naming.UPKEEP_MANAGER
    gone = {**claim, "metadata": {**claim["metadata"], "deletionTimestamp": "now"}}
    assert steps(replace(seen, claim=gone)) == []


def test_more_room_is_asked_for_last_and_may_be_refused() -> None:
    """A raised size of a complete claim; a smaller one asks for nothing."""
    size = {"cache": {"size": "5Gi"}}
    larger = replace(served(), settings=start(HTTP, size).settings)
    *_, last = steps(larger)
    assert isinstance(last, Patch)
    assert last.optional
    assert last.body == {"spec": {"resources": {"requests": {"storage": "5Gi"}}}}
    smaller = replace(served(size), settings=start(HTTP, {"cache": {"size": "2Gi"}}).settings)
    assert not [one for one in steps(smaller) if isinstance(one, Patch)]


def test_a_claim_without_a_volume_is_made_anew() -> None:
    """It cannot be changed, and holds nothing."""
    seen = start(HTTP, {"cache": {"size": "2Gi"}})
    seen = after(seen, plan_model(seen, DEFAULTS))
    seen = replace(seen, resolve=job_ended(seen.resolve, "resolve", Outcome(artifact=ARTIFACT)))
    seen = after(seen, plan_model(seen, DEFAULTS))
    pending = {**(seen.claim or {}), "status": {"phase": "Pending"}}
    wished = start(HTTP, {"cache": {"size": "5Gi"}}).settings
    found = [
        type(one)
        for one in steps(replace(seen, claim=pending, settings=wished))
        if one.resource == CLAIMS
    ]
    assert found == [Delete]


def test_pods_of_a_renewed_claim_are_others() -> None:
    """A claim that is made again below them carries a mark, and so do they once it is complete."""
    seen = served()
    again = plan_model(replace(seen, claim=None), DEFAULTS)
    assert [one.resource for one in again.steps if isinstance(one, Apply)] == []
    lost = replace(
        seen, claim=None, resolve=job_ended(start_resolve(), "resolve", Outcome(artifact=ARTIFACT))
    )
    (claim,) = [
        one.body for one in steps(lost) if isinstance(one, Apply) and one.resource == CLAIMS
    ]
    mark = annotation(claim, naming.RENEWED_ANNOTATION)
    assert mark
    whole = annotated(claim, complete="true")
    (deployment,) = [
        one.body
        for one in steps(replace(seen, claim=whole))
        if isinstance(one, Apply) and one.resource == DEPLOYMENTS
    ]
    assert annotation(deployment["spec"]["template"], naming.RENEWED_ANNOTATION) == mark
    before = annotation(seen.deployment or {}, naming.INPUTS_ANNOTATION)
    assert annotation(deployment, naming.INPUTS_ANNOTATION) != before


def start_resolve() -> Any:
    """The resolve Job of a Model that was just applied."""
    seen = start()
    return after(seen, plan_model(seen, DEFAULTS)).resolve


def test_who_has_a_claim() -> None:
    """Pods that mount it and have a node: one without does not hold it."""
    seen = served()
    name = (seen.claim or {})["metadata"]["name"]
    mounts = {"volumes": [{"persistentVolumeClaim": {"claimName": name}}]}
    here = pod("here", conditions={"PodScheduled": "True"})
    waits = pod("waits", conditions={"PodScheduled": "False"})
    for one in (here, waits):
        one["spec"] = {**one["spec"], **mounts}
    waits["spec"].pop("nodeName", None)
    assert claim_pods(replace(seen, pods=[here, waits, pod("other")])) == ["here"]
