"""Plans of Models whose claims tie their pods to a node, or were made by users."""

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelrunner.domain.naming import VOLUMES_ANNOTATION, cache_label
from modelrunner.domain.scheduling import claims_of
from modelrunner.domain.volumes import Reach
from modelrunner.domain.volumes_limit import Limit
from modelrunner.kube.resources import DEPLOYMENTS, JOBS, PODS
from modelrunner.reconcilers.mounting import mounts
from modelrunner.reconcilers.observation import Observation
from modelrunner.reconcilers.plan import Create, Patch
from modelrunner.reconcilers.planning import plan_model
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Outcome
from tests.unit.modelrunner.domain.pod_json import pod, unschedulable
from tests.unit.modelrunner.domain.settings_of import CLAIM, HTTP, OCI, settings_of
from tests.unit.modelrunner.reconcilers.test_drafting import with_draft
from tests.unit.modelrunner.reconcilers.test_planning import FOUND, SHARED, advance, walk, words
from tests.unit.modelrunner.reconcilers.worlds import (
    ARTIFACT,
    DEFAULTS,
    after,
    job_ended,
    start,
    user_claim,
)

MODES = ("ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany", "ReadWriteOncePod")
OWN = f"model-cache-{settings_of().key}"


def old_pod(claim: str, name: str = "old") -> dict[str, Any]:
    """A pod that an older operator made."""
    found = pod(name)
    found["spec"]["volumes"] = [{"name": "c", "persistentVolumeClaim": {"claimName": claim}}]
    return found


def said(seen: Observation, kind: str) -> tuple[str, str] | None:
    """Reason and message of a condition."""
    for one in seen.model["status"]["conditions"]:
        if one["type"] == kind:
            return one["reason"], one["message"]
    return None


@pytest.mark.parametrize(
    ("spec", "runner", "modes"),
    [
        (HTTP, SHARED, ["ReadWriteMany"]),
        (HTTP, SHARED, ["ReadWriteOncePod"]),
        (HTTP, SHARED, ["ReadWriteOnce", "ReadOnlyMany"]),
        (CLAIM, {}, ["ReadOnlyMany"]),
        (HTTP, {"cache": {"accessMode": "ReadWriteMany"}}, []),
    ],
)
def test_any_claim_comes_to_rest(
    spec: dict[str, Any], runner: dict[str, Any], modes: list[str]
) -> None:
    """Planned again over its own result, no stage has anything left to do."""
    seen = start(spec, runner)
    if modes:
        seen = replace(seen, their_claim=user_claim(*modes))
    seen = walk(seen)
    assert seen.model["status"]["phase"] == "Ready"
    assert plan_model(seen, DEFAULTS).steps == []


@settings(max_examples=12, deadline=None)
@given(
    st.sets(st.sampled_from(MODES), min_size=1),
    st.booleans(),
    st.fixed_dictionaries(
        {},
        optional={
            "podAffinity": st.just({"requiredDuringSchedulingIgnoredDuringExecution": [{}]}),
            "nodeAffinity": st.just({}),
        },
    ),
    st.booleans(),
)
def test_any_claim_and_place_come_to_rest(
    modes: set[str], shared: bool, affinity: dict[str, Any], drafting: bool
) -> None:
    """Whatever a claim offers and users say of the place, a Model ends Ready with an empty plan."""
    spec = HTTP | {"config": {"speculative": {"draftModel": "d"}}} if drafting else HTTP
    runner = (SHARED if shared else {}) | {"scheduling": {"affinity": affinity}}
    seen = start(spec, runner)
    if shared:
        seen = replace(seen, their_claim=user_claim(*sorted(modes)))
    if drafting:
        seen = with_draft(seen, digest="sha256:d")
    if modes == {"ReadOnlyMany"} and shared:
        whole = Outcome(artifact=ARTIFACT, cached=True)
        seen = advance(seen)
        seen = advance(replace(seen, resolve=job_ended(seen.resolve, "resolve", whole)))
    else:
        seen = walk(seen)
        assert seen.model["status"]["phase"] == "Ready"
    assert seen.deployment is not None
    assert plan_model(seen, DEFAULTS).steps == []


def test_pods_of_before_get_the_label_first() -> None:
    """Before the Job that looks for them, and before the Deployment; nobody else is touched."""
    seen = start(HTTP, SHARED)
    others = [old_pod("shared"), old_pod("elsewhere", "other")]
    plan = plan_model(replace(seen, neighbours=others), DEFAULTS)
    labels = {"metadata": {"labels": {cache_label("shared"): "true"}}}
    first, second = plan.steps
    assert isinstance(first, Patch)
    assert (first.resource, first.name, first.body) == (PODS, "old", labels)
    assert isinstance(second, Create)
    assert second.resource == JOBS
    assert plan_model(after(replace(seen, neighbours=others), plan), DEFAULTS).steps == []


def test_at_rest_pods_of_before_are_left_alone() -> None:
    """An upgrade writes nothing to pods; only what looks for them does."""
    seen = walk(start())
    assert plan_model(replace(seen, neighbours=[old_pod(OWN)]), DEFAULTS).steps == []
    wish = replace(seen, settings=settings_of(HTTP | {"warmup": {"enabled": False}}))
    plan = plan_model(replace(wish, neighbours=[old_pod(OWN)]), DEFAULTS)
    assert words(plan)[1:] == ["Apply Deployment m"]
    assert isinstance(plan.steps[0], Patch)


def older(seen: Observation) -> Observation:
    """Its Deployment was made by an operator that knew nothing of volumes."""
    found = copy.deepcopy(seen.deployment)
    assert isinstance(found, dict)
    del found["metadata"]["annotations"][VOLUMES_ANNOTATION]
    found["metadata"]["annotations"]["modelrunner.dev/rendered"] = "earlier"
    del found["spec"]["template"]["spec"]["affinity"]
    return replace(seen, deployment=found)


def test_an_upgrade_restarts_nothing() -> None:
    """A Deployment without the affinity stays until its Model wants other pods."""
    seen = older(walk(start()))
    assert plan_model(seen, DEFAULTS).steps == []
    many = replace(seen, claim=bound(seen.claim, "ReadWriteMany"))
    assert words(plan_model(many, DEFAULTS)) == []


def bound(claim: Any, *modes: str) -> dict[str, Any]:
    """The claim on a volume of these modes."""
    return {**claim, "status": {"phase": "Bound", "accessModes": list(modes)}}


def test_a_claim_of_another_reach_rolls_the_runners() -> None:
    """Else a volume that all nodes can mount would go on keeping its pods together."""
    seen = walk(start())
    plan = plan_model(replace(seen, claim=bound(seen.claim, "ReadWriteMany")), DEFAULTS)
    [step] = plan.steps
    assert step.resource == DEPLOYMENTS
    assert "affinity" not in step.body["spec"]["template"]["spec"]  # type: ignore[union-attr]  # an Apply
    assert plan.status["conditions"][-1]["type"] == "Reconciling"
    same = replace(seen, claim=bound(seen.claim, "ReadWriteOnce"))
    assert plan_model(same, DEFAULTS).steps == []


def test_a_claim_that_is_not_there_makes_no_pod() -> None:
    """It is told, and looked for again soon; a Model that serves goes on serving."""
    seen = replace(start(HTTP, SHARED), their_claim=None)
    plan = plan_model(seen, DEFAULTS)
    assert plan.steps == []
    assert plan.requeue_after == 15
    assert plan.status["conditions"][-1]["type"] == "Stalled"
    serving = advance(replace(walk(start(HTTP, SHARED)), their_claim=None))
    found = said(serving, "Stalled")
    assert found is not None
    assert found[0] == Reason.INVALID_CONFIGURATION
    assert said(serving, "Ready") is not None
    assert serving.model["status"]["artifact"]["sizeBytes"] == 10**9


def test_what_a_resolve_finds_in_the_cache_is_not_pulled() -> None:
    """Only on a shared claim, which it has mounted: elsewhere it cannot know."""
    whole = Outcome(artifact=ARTIFACT, cached=True)
    seen = advance(start(HTTP, SHARED))
    seen = advance(replace(seen, resolve=job_ended(seen.resolve, "resolve", whole)))
    assert (seen.pull, seen.resolve) == (None, None)
    assert seen.deployment is not None
    own = advance(start())
    own = advance(replace(own, resolve=job_ended(own.resolve, "resolve", whole)))
    assert own.pull is not None


def test_what_can_only_be_read_is_not_pulled_to() -> None:
    """The resolve is tried again with back-off: somebody may import the weights."""
    claim = user_claim("ReadOnlyMany")
    seen = advance(replace(start(HTTP, SHARED), their_claim=claim))
    seen = replace(seen, resolve=job_ended(seen.resolve, "resolve", FOUND), now=seen.now - 5)
    waiting = plan_model(seen, DEFAULTS)
    assert waiting.steps == []
    assert waiting.requeue_after is not None
    assert "runnerd import" in waiting.status["conditions"][1]["message"]
    later = plan_model(replace(seen, now=seen.now + 60), DEFAULTS)
    key = settings_of().key
    assert [one.rpartition("-")[0] for one in words(later)] == [
        f"Delete Job resolve-{key}",
        f"Create Job resolve-{key}",
    ]


def test_an_earlier_operators_resolve_without_the_claim_goes() -> None:
    """It has the bare name, and nobody would look at it any more."""
    bare = start(HTTP, SHARED)
    job = {"metadata": {"name": f"resolve-{settings_of().key}", "uid": "x"}}
    plan = plan_model(replace(bare, stale_jobs=[job]), DEFAULTS)
    assert words(plan)[0] == f"Delete Job resolve-{settings_of().key}"


def test_a_runner_too_many_is_told_beside_the_rest() -> None:
    """One condition and one event more; Ready stays, and nothing is Stalled."""
    seen = walk(start(HTTP, {"scaling": {"minReplicas": 2}}))
    found = copy.deepcopy(seen.deployment)
    assert isinstance(found, dict)
    found["spec"]["replicas"] = 2
    found["status"] |= {"updatedReplicas": 2, "replicas": 2}
    late = unschedulable("0/2 nodes are available: 1 node(s) didn't match pod affinity rules.")
    late["metadata"] |= {"name": "z", "uid": "z"}
    limit = Limit(runs=1, wanted=2, node="n1", retry_at=seen.now + 100)
    seen = replace(seen, deployment=found, pods=[*seen.pods, late], reach=Reach.NODE, limit=limit)
    plan = plan_model(seen, DEFAULTS)
    assert [(one.type, one.reason) for one in plan.events] == [("Warning", "SingleNodeVolume")]
    kinds = [one["type"] for one in plan.status["conditions"]]
    assert kinds == ["Ready", "Cached", "ReplicasLimited"]
    assert plan.status["phase"] == "Ready"
    again = plan_model(after(seen, plan), DEFAULTS)
    assert again.events == []
    # On a volume of all nodes the same pod is what the Model waits for.
    other = plan_model(replace(seen, reach=Reach.ANYWHERE), DEFAULTS)
    assert other.status["conditions"][-1]["reason"] == "Unschedulable"


def test_the_claims_of_a_runner() -> None:
    """Own, in place and shared ones; without settings, none."""
    seen = walk(start(CLAIM))
    found = mounts(seen)
    assert found is not None
    assert (found.tied, found.reach) == (["mine"], Reach.NODE)
    assert claims_of(dict(seen.deployment or {})["spec"]["template"]) == ["mine"]
    assert mounts(replace(seen, settings=None)) is None


def test_a_pull_goes_where_the_volume_of_the_draft_is() -> None:
    """Its own volume then comes to that node; one that is bound already stays where it is."""
    spec = HTTP | {"config": {"speculative": {"draftModel": "d"}}}
    seen = advance(with_draft(start(spec), digest="sha256:d"))
    seen = replace(seen, resolve=job_ended(seen.resolve, "resolve", FOUND))
    theirs = f"model-cache-{settings_of(OCI).key}"
    assert pulled_from(seen) == sorted([theirs, OWN])
    placed = replace(seen, claim=bound({"metadata": {}}, "ReadWriteOnce"))
    assert pulled_from(placed) == [OWN]
    waiting = with_draft(seen)
    assert pulled_from(waiting) == [OWN]


def pulled_from(seen: Observation) -> list[str]:
    """The claims of the pull that the next plan makes."""
    [job] = [step.body for step in plan_model(seen, DEFAULTS).steps if isinstance(step, Create)]
    return claims_of(job["spec"]["template"])
