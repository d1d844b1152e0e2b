"""Verification on demand, and claims that are deleted under a model that runs."""

from dataclasses import replace
from typing import Any

import pytest

from modelrunner_protocol.codec import decode
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Outcome, PullConfig
from tests.integration.reconcilers.bench import API, Bench, condition, written
from tests.integration.reconcilers.test_growth import bound, on, storage_class
from tests.integration.reconcilers.test_upkeep import MODEL, claims, events
from tests.support.kubeapi import Object
from tests.support.pod_statuses import ARTIFACT

pytestmark = pytest.mark.control_plane

DAMAGE = Outcome(
    reason=Reason.PULL_FAILED,
    message="m.gguf is damaged: it was set apart",
    damaged=True,
)
IN_PLACE: dict[str, Any] = {"source": {"persistentVolumeClaim": {"name": "mine", "path": "m.gguf"}}}


def ask(bench: Bench, value: str) -> None:
    """Annotate the Model, as `kubectl annotate` does."""
    meta = {
        "name": "m",
        "namespace": bench.namespace,
        "annotations": {"modelrunner.dev/verify": value},
    }
    bench.api.merge({"apiVersion": API, "kind": "Model", "metadata": meta})


def jobs(bench: Bench, stage: str) -> list[Object]:
    """The Jobs of a stage."""
    found = bench.api.list("batch/v1", "Job", bench.namespace)
    return [one for one in found if one["metadata"]["name"].startswith(f"{stage}-")]


def pod_marks(bench: Bench) -> str:
    """Which renewal of the cache the runner's pods are for."""
    template = bench.must("apps/v1", "Deployment", "m")["spec"]["template"]
    marks = template["metadata"].get("annotations") or {}
    return str(marks.get("modelrunner.dev/renewed", ""))


async def test_a_sound_cache(bench: Bench) -> None:
    """One Job for one request, whose answer is stored, and then nothing is left of it."""
    bench.put("ModelRunner", "default", {})
    bench.put("Model", "m", MODEL)
    await bench.serving()
    before = bench.must("apps/v1", "Deployment", "m")["metadata"]["generation"]
    ask(bench, "once")
    await bench.until_still("m")
    (job,) = jobs(bench, "verify")
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"] == ["verify"]
    config = decode(PullConfig, container["env"][0]["value"])
    assert config.expected == ARTIFACT
    assert config.credentials is None
    assert not container["volumeMounts"][0].get("readOnly")
    bench.end_pod("verify", Outcome(artifact=ARTIFACT), exit_code=0)
    model = await bench.until_still("m")
    verified = model["status"]["verified"]
    assert (verified["request"], verified["result"]) == ("once", "Sound")
    assert jobs(bench, "verify") == []
    assert len(events(bench, "Verified")) == 1
    assert bench.must("apps/v1", "Deployment", "m")["metadata"]["generation"] == before
    writes = written()
    bench.restart()
    await bench.once("m")
    assert written() == writes
    ask(bench, "twice")
    await bench.until_still("m")
    assert len(jobs(bench, "verify")) == 1


async def test_a_damaged_cache_is_pulled_again(bench: Bench) -> None:
    """Not cached, pulled again while the pods serve, then other pods: they may hold the damage."""
    bench.put("ModelRunner", "default", {})
    bench.put("Model", "m", MODEL)
    await bench.serving()
    ask(bench, "now")
    await bench.until_still("m")
    bench.end_pod("verify", DAMAGE, exit_code=1)
    model = await bench.until_still("m")
    assert model["status"]["verified"]["result"] == "Damaged"
    assert model["status"]["verified"]["message"] == "m.gguf is damaged: it was set apart"
    cached, ready = condition(model, "Cached"), condition(model, "Ready")
    assert cached is not None
    assert ready is not None
    assert (cached["status"], cached["reason"], ready["status"]) == ("False", "Pulling", "True")
    assert len(events(bench, "CacheDamaged")) == 1
    assert jobs(bench, "verify") == []
    assert pod_marks(bench) == ""
    bench.end_pod("pull", Outcome(artifact=ARTIFACT), exit_code=0)
    await bench.until_still("m")
    mark = pod_marks(bench)
    assert mark
    bench.make_ready(address="127.0.0.10")
    model = await bench.until_still("m")
    assert condition(model, "Reconciling") is None
    assert jobs(bench, "pull") == []
    assert pod_marks(bench) == mark
    bench.restart()
    writes = written()
    await bench.once("m")
    assert written() == writes


async def test_damage_on_a_shared_claim(bench: Bench) -> None:
    """Looked at and pulled again, and the pods follow; nothing is written on the users' claim."""
    bench.api.create(_claim(bench, "shared"))
    bench.put("ModelRunner", "default", {"cache": {"existingClaim": "shared"}})
    bench.put("Model", "m", MODEL)
    await bench.serving()
    ask(bench, "now")
    await bench.until_still("m")
    bench.end_pod("verify", DAMAGE, exit_code=1)
    await bench.until_still("m")
    assert len(jobs(bench, "verify")) == 1
    bench.end_pod("resolve", Outcome(artifact=ARTIFACT), exit_code=0)
    model = await bench.until_still("m")
    assert "verified" not in model["status"]
    bench.end_pod("pull", Outcome(artifact=ARTIFACT), exit_code=0)
    model = await bench.until_still("m")
    assert model["status"]["verified"]["result"] == "Damaged"
    assert pod_marks(bench)
    bench.make_ready(address="127.0.0.10")
    await bench.until_still("m")
    assert bench.api.list("batch/v1", "Job", bench.namespace) == []
    assert pod_marks(bench)


async def test_weights_in_place_are_hashed(bench: Bench) -> None:
    """Read-only; their digest is told, and damage is, but nobody can pull them."""
    bench.api.create(_claim(bench, "mine"))
    bench.put("ModelRunner", "default", {})
    bench.put("Model", "m", IN_PLACE)
    await bench.until_still("m")
    plain = replace(ARTIFACT, digest="")
    bench.end_pod("resolve", Outcome(artifact=plain), exit_code=0)
    await bench.until_still("m")
    bench.make_ready()
    model = await bench.until_still("m")
    assert "digest" not in model["status"]["artifact"]
    before = bench.must("apps/v1", "Deployment", "m")["metadata"]["generation"]
    ask(bench, "now")
    await bench.until_still("m")
    (job,) = jobs(bench, "verify")
    assert job["spec"]["template"]["spec"]["containers"][0]["volumeMounts"][0]["readOnly"] is True
    known = replace(plain, digest=f"sha256:{'a' * 64}")
    bench.end_pod("verify", Outcome(artifact=known), exit_code=0)
    model = await bench.until_still("m")
    assert model["status"]["artifact"]["digest"] == known.digest
    ask(bench, "again")
    await bench.until_still("m")
    bench.end_pod("verify", DAMAGE, exit_code=1)
    model = await bench.until_still("m")
    assert model["status"]["verified"]["result"] == "Damaged"
    assert condition(model, "Cached")["status"] == "True"  # type: ignore[index]  # asserted by the bench
    assert bench.must("apps/v1", "Deployment", "m")["metadata"]["generation"] == before


async def test_what_cannot_be_verified(bench: Bench) -> None:
    """A Job that fails otherwise changes nothing about the cache."""
    bench.put("ModelRunner", "default", {})
    bench.put("Model", "m", MODEL)
    await bench.serving()
    ask(bench, "now")
    await bench.until_still("m")
    bench.end_pod("verify", "no words that anybody understands", exit_code=137)
    bench.wait_for_pods(lambda: "Failed" in str(jobs(bench, "verify")[0]["status"]))
    model = await bench.until_still("m")
    assert model["status"]["verified"]["result"] == "Failed"
    assert condition(model, "Cached")["status"] == "True"  # type: ignore[index]  # asserted by the bench
    assert pod_marks(bench) == ""


async def deleted_under(bench: Bench, model: dict[str, Any]) -> Object:
    """The claim of a Model that serves is deleted; the Model then."""
    storage_class(bench, grows=True)
    bench.put("ModelRunner", "default", on(bench, size="1Gi"))
    bench.put("Model", "m", MODEL | model)
    await bench.until_still("m")
    bench.end_pod("resolve", Outcome(artifact=ARTIFACT), exit_code=0)
    await bench.until_still("m")
    bound(bench, "1Gi")
    bench.end_pod("pull", Outcome(artifact=ARTIFACT), exit_code=0)
    await bench.until_still("m")
    # Without a scheduler a pod has a node only if it was made with one.
    bench.bind(bench.runner_pod())
    bench.make_ready()
    await bench.until_still("m")
    name = claims(bench)[0]["metadata"]["name"]
    bench.api.delete("v1", "PersistentVolumeClaim", name, bench.namespace)
    return await bench.until_still("m")


async def test_a_claim_deleted_under_a_model_that_sleeps_later(bench: Bench) -> None:
    """It serves on and says so; once its pods end, a new claim is pulled and other pods follow."""
    model = await deleted_under(bench, {})
    ready, cached = condition(model, "Ready"), condition(model, "Cached")
    assert ready is not None
    assert cached is not None
    assert ready["status"] == "True"
    assert "was deleted, but pods still use it: they go on serving" in cached["message"]
    assert f"`kubectl delete pod {bench.pod_of('runner')['metadata']['name']}`" in cached["message"]
    assert condition(model, "Stalled") is None
    bench.scale("m", 0)
    pod = bench.api.list("v1", "Pod", bench.namespace, label_selector="modelrunner.dev/model=m")[0]
    place = bench.api.path("v1", "Pod", bench.namespace, pod["metadata"]["name"])
    # Its kubelet would say when it has ended.
    bench.api.request("DELETE", place, query={"gracePeriodSeconds": "0"})
    bench.wait_for_pods(lambda: not bench.api.list("v1", "PersistentVolumeClaim", bench.namespace))
    await bench.until_still("m")
    bench.end_pod("resolve", Outcome(artifact=ARTIFACT), exit_code=0)
    await bench.until_still("m")
    bench.end_pod("pull", Outcome(artifact=ARTIFACT), exit_code=0)
    model = await bench.until_still("m")
    assert condition(model, "Cached")["status"] == "True"  # type: ignore[index]  # asserted before
    assert pod_marks(bench)
    assert model["status"]["phase"] == "Idle"


async def test_a_claim_deleted_under_a_model_that_never_sleeps(bench: Bench) -> None:
    """Nobody but a person ends its pods: Stalled, with the command."""
    model = await deleted_under(bench, {"keepAlive": "-1"})
    stalled, ready = condition(model, "Stalled"), condition(model, "Ready")
    assert stalled is not None
    assert ready is not None
    assert ready["status"] == "True"
    assert "They do not end by themselves" in stalled["message"]
    assert "Mend: `kubectl delete pod " in stalled["message"]


def _claim(bench: Bench, name: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": bench.namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
