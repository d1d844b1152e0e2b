"""Plans of a Model whose source moves, and what is known of the source's versions."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from modelrunner.domain import naming
from modelrunner.domain.effective import Effective
from modelrunner.domain.versions import version_key
from modelrunner.kube.resources import CLAIMS, DEPLOYMENTS, JOBS, MODELS, PODS
from modelrunner.kube.store import Store
from modelrunner.reconcilers.index import Entry, ModelIndex
from modelrunner.reconcilers.observation import JobAndPods, Observation
from modelrunner.reconcilers.plan import Create, Delete, Plan
from modelrunner.reconcilers.planning import plan_model
from modelrunner.reconcilers.refreshing import look_of
from modelrunner.reconcilers.versions import as_draft, at_wanted_version, moved, with_versions
from modelrunner_protocol.codec import encode
from modelrunner_protocol.wire import Outcome
from tests.unit.modelrunner.domain.pod_json import NOW
from tests.unit.modelrunner.domain.settings_of import settings_of
from tests.unit.modelrunner.reconcilers.worlds import (
    ARTIFACT,
    DEFAULTS,
    after,
    job_ended,
    ready_pods,
    rolled_out,
    start,
)

Object = dict[str, Any]
SPEC = {"source": {"oci": {"reference": "ai/x"}, "refresh": "10m"}}
NEWER = replace(ARTIFACT, digest="sha256:bb")
KEY = settings_of(SPEC).source_key
NEXT = version_key(KEY, NEWER)


def words(plan: Plan) -> list[str]:
    """The steps in short."""
    return [
        f"{type(step).__name__} "
        + (step.name if isinstance(step, Delete) else step.body["metadata"]["name"])
        for step in plan.steps
        if not hasattr(step, "manager")
    ]


def advance(seen: Observation) -> Observation:
    """Carry out one plan, and check that it leaves nothing to do."""
    done = after(seen, plan_model(seen, DEFAULTS))
    again = plan_model(done, DEFAULTS)
    assert words(again) == []
    settled = after(done, again)
    last = plan_model(settled, DEFAULTS)
    assert (last.status, last.events) == (settled.model["status"], [])
    return settled


def serving() -> Observation:
    """A Model at rest that serves what its tag stood for, and that from now on is looked after."""
    seen = advance(start({"source": {"oci": {"reference": "ai/x"}}}))
    found = Outcome(artifact=ARTIFACT)
    seen = advance(replace(seen, resolve=job_ended(seen.resolve, "resolve", found)))
    seen = advance(replace(seen, pull=job_ended(seen.pull, "pull", found)))
    seen = advance(replace(seen, pods=ready_pods(), deployment=rolled_out(seen.deployment)))
    return replace(seen, settings=settings_of(SPEC))


def due(seen: Observation) -> Observation:
    """The Model's moment has come."""
    plan = plan_model(seen, DEFAULTS)
    if words(plan):
        return seen
    assert plan.due_in is not None
    assert 0 < plan.due_in <= 600
    assert plan.requeue_after is not None
    assert plan.requeue_after <= plan.due_in
    return replace(seen, now=seen.now + plan.due_in + 1)


def looked(seen: Observation, outcome: Outcome) -> Observation:
    """The look at the source has ended with these words."""
    seen = advance(due(seen))
    assert seen.refresh is not None
    return replace(seen, refresh=job_ended(seen.refresh, "resolve", outcome))


def test_a_look_is_a_job_that_leaves_no_trace() -> None:
    """At its moment one Job, then one write that says when; at rest all the while."""
    seen = serving()
    plan = plan_model(due(seen), DEFAULTS)
    assert words(plan) == [f"Create refresh-{KEY}"]
    step = plan.steps[0]
    assert isinstance(step, Create)
    assert step.body["spec"]["activeDeadlineSeconds"] == 900
    assert step.body["metadata"]["annotations"]["modelrunner.dev/refresh"] == ""
    assert [one["name"] for one in step.body["metadata"]["ownerReferences"]] == ["m"]
    seen = looked(seen, Outcome(artifact=ARTIFACT))
    plan = plan_model(seen, DEFAULTS)
    assert words(plan) == [f"Delete refresh-{KEY}"]
    seen = advance(seen)
    assert seen.model["status"]["source"]["digest"] == ARTIFACT.digest
    assert plan_model(seen, DEFAULTS).at_rest


def test_a_newer_version_in_its_steps() -> None:
    """The look is the resolve; claim and pull of the new key, then the Deployment, then the past."""
    seen = looked(serving(), Outcome(artifact=NEWER))
    former = seen.claim
    assert seen.settings is not None
    assert former is not None
    settings = replace(seen.settings, key=NEXT)
    seen = replace(
        seen, settings=settings, claim=None, resolve=seen.refresh, moved_from=KEY, versions=[former]
    )
    plan = plan_model(seen, DEFAULTS)
    assert words(plan) == [f"Apply model-cache-{NEXT}", f"Create pull-{NEXT}"]
    assert plan.status["source"]["superseded"] == [KEY]
    seen = replace(after(seen, plan), moved_from=None)
    assert words(plan_model(seen, DEFAULTS)) == []
    seen = replace(seen, pull=job_ended(seen.pull, "pull", Outcome(artifact=NEWER)))
    plan = plan_model(seen, DEFAULTS)
    assert words(plan) == [
        f"Apply model-cache-{NEXT}",
        "Apply m",
        f"Delete refresh-{KEY}",
        f"Delete pull-{NEXT}",
    ]
    seen = replace(after(seen, plan), deployment=rolled_out(after(seen, plan).deployment))
    assert f"Delete model-cache-{KEY}" not in words(plan_model(seen, DEFAULTS))
    free = replace(seen, unused={f"model-cache-{KEY}"}, refresh=None)
    plan = plan_model(free, DEFAULTS)
    assert words(plan) == [f"Delete model-cache-{KEY}"]
    assert [(one.type, one.reason) for one in plan.events if one.reason == "Released"] == [
        ("Normal", "Released")
    ]
    rolling = copy.deepcopy(dict(free.deployment or {}))
    rolling["status"]["updatedReplicas"] = 0
    assert words(plan_model(replace(free, deployment=rolling), DEFAULTS)) == []
    seen = advance(free)
    assert "superseded" not in seen.model["status"]["source"]
    assert plan_model(seen, DEFAULTS).at_rest


def test_a_newer_version_that_somebody_else_left_is_none_of_the_past() -> None:
    """Younger than what serves, and never wanted here: it is kept, as retention says."""
    seen = serving()
    other = copy.deepcopy(dict(seen.claim or {}))
    other["metadata"] |= {"name": "model-cache-z", "creationTimestamp": "2030-01-01T00:00:00Z"}
    other["metadata"]["labels"][naming.ARTIFACT_LABEL] = "z"
    seen = replace(seen, versions=[other], unused={"model-cache-z"})
    assert "Delete model-cache-z" not in words(plan_model(seen, DEFAULTS))
    told = {"sourceKey": KEY, "key": KEY, "superseded": ["z"]}
    status = {**seen.model["status"], "source": told}
    seen = replace(seen, model={**seen.model, "status": status})
    assert "Delete model-cache-z" in words(plan_model(seen, DEFAULTS))


def test_how_often_to_look_rolls_nothing() -> None:
    """Nor does it make Jobs anew."""
    seen = serving()
    without = {"source": {"oci": {"reference": "ai/x"}}}
    assert words(plan_model(replace(seen, settings=settings_of(without)), DEFAULTS)) == []


class Cluster:
    """A cache of watched objects with one Model that serves."""

    def __init__(self, runner: Object | None = None) -> None:
        self.store = Store()
        self.settings = settings_of(SPEC, runner)

    def model(self, name: str = "m", key: str = "") -> Object:
        """A Model of the source; `key`: the version that its status wants."""
        source = {"sourceKey": KEY, "key": key} if key else {}
        found = {
            "metadata": {"name": name, "namespace": "ml", "uid": f"u-{name}", "generation": 1},
            "spec": SPEC,
            "status": {"source": source},
        }
        self.store.put(MODELS, found)
        return found

    def claim(self, key: str, created: int, **annotations: str) -> Object:
        """A cache of a version; complete unless told otherwise."""
        told = {naming.COMPLETE_ANNOTATION: "true", naming.ARTIFACT_ANNOTATION: encode(ARTIFACT)}
        found = {
            "metadata": {
                "name": naming.claim_name(key),
                "namespace": "ml",
                "uid": f"c-{key}",
                "creationTimestamp": f"2026-11-22T00:00:{created:02}Z",
                "labels": {naming.ARTIFACT_LABEL: key, naming.SOURCE_KEY_LABEL: KEY},
                "annotations": told | annotations,
            }
        }
        self.store.put(CLAIMS, found)
        return found

    def deployment(self, name: str, key: str, claim: str) -> Object:
        """A Deployment of a Model that serves a version from a claim."""
        found = {
            "metadata": {
                "name": name,
                "namespace": "ml",
                "annotations": {
                    naming.ARTIFACT_KEY_ANNOTATION: key,
                    naming.SOURCE_KEY_ANNOTATION: KEY,
                    naming.ARTIFACT_ANNOTATION: encode(ARTIFACT),
                },
            },
            "spec": {"template": {"spec": volumes(claim)}},
        }
        self.store.put(DEPLOYMENTS, found)
        return found

    @property
    def entries(self) -> list[Entry]:
        """The Models, as the others know them."""
        return ModelIndex().entries("ml", self.store.list(MODELS))

    def wanted(self, model: Object) -> str:
        """The version that a Model begins with."""
        return at_wanted_version(self.store, self.settings, model, self.entries).key


def volumes(claim: str) -> Object:
    """A pod's spec that mounts a claim."""
    return {"volumes": [{"name": "cache", "persistentVolumeClaim": {"claimName": claim}}]}


def test_the_wanted_version_in_order() -> None:
    """The status, the Deployment, the newest complete claim, the first version."""
    cluster = Cluster()
    assert cluster.wanted(cluster.model()) == KEY
    cluster.claim(KEY, 1)
    cluster.claim("v2", 3)
    cluster.claim("v1", 2)
    cluster.claim("half", 4, **{naming.COMPLETE_ANNOTATION: ""})
    assert cluster.wanted(cluster.model()) == "v2"
    cluster.deployment("m", "v1", "model-cache-v1")
    assert cluster.wanted(cluster.model()) == "v1"
    assert cluster.wanted(cluster.model(key="half")) == "half"


def test_on_a_shared_claim_what_others_serve_is_known() -> None:
    """The version of the one that was looked at last."""
    cluster = Cluster({"cache": {"existingClaim": "shared"}})
    for name, key, second in (("a", "v1", 1), ("b", "v2", 2)):
        found = cluster.model(name, key)
        found["status"]["source"]["checkedTime"] = f"2026-11-22T00:00:0{second}Z"
        cluster.deployment(name, key, "shared")
    assert cluster.wanted(cluster.model()) == "v2"


def test_a_draft_is_what_is_there_whole() -> None:
    """While a newer version comes, the one that its own Deployment serves."""
    cluster = Cluster()
    model = cluster.model(key="v2")
    cluster.claim(KEY, 1)
    cluster.claim("v2", 2, **{naming.COMPLETE_ANNOTATION: ""})
    cluster.deployment("m", KEY, naming.claim_name(KEY))

    def key() -> str:
        return as_draft(cluster.store, cluster.settings, model, cluster.entries).key

    assert key() == KEY
    cluster.claim("v2", 2)
    assert key() == "v2"


@pytest.mark.parametrize("by", ["nobody", "a Model", "a Deployment", "a pod", "a Job"])
def test_who_still_uses_a_version(by: str) -> None:
    """A Model that wants it, or whatever mounts it, keeps it."""
    cluster = Cluster()
    claim = cluster.claim(KEY, 1)["metadata"]["name"]
    mine = cluster.claim("v2", 2)
    model = cluster.model(key="v2")
    meta = {"name": "x", "namespace": "ml"}
    template: Object = {"template": {"spec": volumes(claim)}}
    if by == "a Model":
        cluster.model("other")
    elif by == "a Deployment":
        cluster.deployment("other", KEY, claim)
    elif by == "a pod":
        cluster.store.put(PODS, {"metadata": meta, "spec": volumes(claim)})
    elif by == "a Job":
        cluster.store.put(JOBS, {"metadata": meta, "spec": template})
    settings = replace(cluster.settings, key="v2")
    seen = Observation(now=NOW, model=model, settings=settings, claim=mine)
    seen = with_versions(cluster.store, seen, cluster.entries)
    assert [one["metadata"]["name"] for one in seen.versions] == [claim]
    assert set(seen.unused) == ({claim} if by == "nobody" else set())


def look(settings: Effective, maker: str, outcome: Outcome) -> JobAndPods:
    """A look that a Model has asked for, and that has ended."""
    seen = looked(serving(), outcome)
    assert seen.refresh is not None
    job = copy.deepcopy(dict(seen.refresh.job))
    job["metadata"]["labels"][naming.MODEL_LABEL] = maker
    assert settings.source_key == KEY
    return replace(seen.refresh, job=job)


@pytest.mark.parametrize(
    ("maker", "refresh", "expected"),
    [("m", "10m", NEXT), ("m", None, NEXT), ("other", "10m", NEXT), ("other", None, None)],
)
def test_whose_look_moves_a_model(maker: str, refresh: str | None, expected: str | None) -> None:
    """Its own, and that of another Model of the source if it wants to know at all."""
    cluster = Cluster()
    source = SPEC["source"] if refresh else {"oci": {"reference": "ai/x"}}
    settings = settings_of({"source": source})
    model = cluster.model()
    model["metadata"]["uid"] = "u"
    seen = Observation(
        now=NOW,
        model=model,
        settings=settings,
        claim=cluster.claim(KEY, 1),
        refresh=look(settings, maker, Outcome(artifact=NEWER)),
    )
    found = moved(cluster.store, seen, cluster.entries)
    assert (found.key if found else None) == expected
    told = look_of(seen)
    assert told is not None
    assert told.mine is (maker == "m")


def test_a_look_moves_nobody_to_what_is_there() -> None:
    """Equal weights, and weights of no use."""
    cluster = Cluster()
    seen = Observation(
        now=NOW,
        model=cluster.model(),
        settings=cluster.settings,
        claim=cluster.claim(KEY, 1),
    )
    for artifact in (ARTIFACT, replace(NEWER, format="pickle")):
        found = look(cluster.settings, "m", Outcome(artifact=artifact))
        assert moved(cluster.store, replace(seen, refresh=found), cluster.entries) is None
