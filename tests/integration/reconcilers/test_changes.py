"""Changes of what users wrote, of the cluster, and of the operator itself."""

from typing import Any

import pytest

from modelrunner.domain.effective import OperatorDefaults
from modelrunner_protocol.wire import Outcome
from tests.cluster.waiting import wait_until
from tests.integration.reconcilers.bench import PATIENCE, Bench, condition, written
from tests.support.kubeapi import Object
from tests.support.pod_statuses import ARTIFACT

pytestmark = pytest.mark.control_plane

MODEL: dict[str, Any] = {"source": {"http": {"url": "http://files.example/m.gguf"}}}


def generation(bench: Bench) -> int:
    """How often the Deployment's spec was changed."""
    found: int = bench.must("apps/v1", "Deployment", "m")["metadata"]["generation"]
    return found


def env_of(bench: Bench) -> list[str]:
    """Names of the variables of the runner."""
    pod = bench.must("apps/v1", "Deployment", "m")["spec"]["template"]["spec"]
    return [item["name"] for item in pod["containers"][0]["env"]]


def says(model: Object, kind: str) -> tuple[str, str] | None:
    """Status and reason of a condition."""
    found = condition(model, kind)
    return (found["status"], found["reason"]) if found else None


async def test_a_missing_runner_does_not_stop_what_serves(bench: Bench) -> None:
    """RunnerNotFound before the runner is there; after it has gone the pods are left alone."""
    bench.put("Model", "m", MODEL)
    model = await bench.until_still("m")
    assert says(model, "Ready") == ("False", "RunnerNotFound")
    assert "create it or set spec.runner" in condition(model, "Ready")["message"]  # type: ignore[index]  # asserted
    assert model["status"]["phase"] == "Pending"
    bench.put("ModelRunner", "default", {})
    await bench.serving()
    before = generation(bench)
    bench.api.delete("modelrunner.dev/v1alpha1", "ModelRunner", "default", bench.namespace)
    model = await bench.until_still("m")
    assert says(model, "Ready") == ("True", "Ready")
    assert says(model, "Stalled") == ("True", "RunnerNotFound")
    assert generation(bench) == before


async def test_a_change_rolls_the_pods_while_the_model_stays_ready(bench: Bench) -> None:
    """Another context size makes other pods; the old one serves and the status says what goes on."""
    bench.put("ModelRunner", "default", {})
    bench.put("Model", "m", MODEL)
    await bench.serving()
    before = generation(bench)
    bench.put("Model", "m", MODEL | {"config": {"contextSize": 4096}})
    await bench.once("m")
    model = bench.model("m")
    assert says(model, "Ready") == ("True", "Ready")
    assert says(model, "Reconciling") == ("True", "Starting")
    assert model["status"]["observedGeneration"] == model["metadata"]["generation"]
    assert generation(bench) > before
    assert '"contextSize":4096' in str(bench.must("apps/v1", "Deployment", "m"))
    bench.make_ready(address="127.0.0.10")
    model = await bench.until_still("m")
    assert says(model, "Reconciling") is None


async def test_an_operator_upgrade_leaves_the_pods_alone(bench: Bench) -> None:
    """A new default image waits for the next change that the user wants."""
    bench.put("ModelRunner", "default", {})
    bench.put("Model", "m", MODEL)
    await bench.serving()
    before = bench.must("apps/v1", "Deployment", "m")["metadata"]["resourceVersion"]
    bench.restart(OperatorDefaults(runner_image="localhost/model-runner:new"))
    writes = written()
    await bench.once("m")
    assert written() == writes
    assert bench.must("apps/v1", "Deployment", "m")["metadata"]["resourceVersion"] == before
    bench.put("Model", "m", MODEL | {"aliases": ["other"]})
    await bench.once("m")
    assert bench.must("apps/v1", "Deployment", "m")["metadata"]["resourceVersion"] == before
    bench.put("Model", "m", MODEL | {"warmup": {"enabled": False}})
    await bench.once("m")
    assert "model-runner:new" in str(bench.must("apps/v1", "Deployment", "m")["spec"])


async def test_a_new_source_serves_the_old_one_until_it_is_cached(bench: Bench) -> None:
    """The Deployment rolls only when the new weights are complete."""
    bench.put("ModelRunner", "default", {})
    bench.put("Model", "m", MODEL)
    await bench.serving()
    before = generation(bench)
    bench.put("Model", "m", {"source": {"http": {"url": "http://files.example/other.gguf"}}})
    model = await bench.until_still("m")
    assert generation(bench) == before
    assert says(model, "Ready") == ("True", "Ready")
    assert says(model, "Cached") == ("False", "Resolving")
    assert says(model, "Reconciling") == ("True", "Resolving")
    bench.end_pod("resolve", Outcome(artifact=ARTIFACT), exit_code=0)
    await bench.until_still("m")
    assert generation(bench) == before
    bench.end_pod("pull", Outcome(artifact=ARTIFACT), exit_code=0)
    await bench.until_still("m")
    assert generation(bench) > before


async def test_a_change_of_mind_takes_the_old_job_away(bench: Bench) -> None:
    """The Job of a source that nobody wants any more is deleted with its pods."""
    bench.put("ModelRunner", "default", {})
    bench.put("Model", "m", MODEL)
    await bench.until_still("m")
    old = bench.api.list("batch/v1", "Job", bench.namespace)[0]["metadata"]["name"]
    bench.put("Model", "m", {"source": {"http": {"url": "http://files.example/other.gguf"}}})
    await bench.until_still("m")
    left = [one["metadata"]["name"] for one in bench.api.list("batch/v1", "Job", bench.namespace)]
    assert len(left) == 1
    assert old not in left


async def test_replicas_belong_to_whoever_scales(bench: Bench) -> None:
    """A model scaled to zero is healthy, and no apply of ours wakes it."""
    bench.put("ModelRunner", "default", {})
    bench.put("Model", "m", MODEL)
    await bench.serving()
    bench.scale("m", 0)
    model = await bench.until_still("m")
    assert says(model, "Ready") == ("True", "ScaledToZero")
    assert model["status"]["phase"] == "Idle"
    assert model["status"]["replicas"] == 0
    bench.put("Model", "m", MODEL | {"config": {"contextSize": 4096}})
    await bench.until_still("m")
    assert bench.must("apps/v1", "Deployment", "m")["spec"]["replicas"] == 0


async def test_what_a_user_takes_out_goes(bench: Bench) -> None:
    """A variable that is no longer in the ModelRunner disappears, even after a restart."""
    kept, gone = {"name": "A", "value": "1"}, {"name": "B", "value": "2"}
    bench.put("ModelRunner", "default", {"env": [kept, gone]})
    bench.put("Model", "m", MODEL)
    await bench.serving()
    assert env_of(bench) == ["RUNNERD_CONFIG", "A", "B"]
    bench.restart()
    bench.put("ModelRunner", "default", {"env": [kept]})
    await bench.until_still("m")
    assert env_of(bench) == ["RUNNERD_CONFIG", "A"]


async def test_a_humans_edit_is_mended(bench: Bench) -> None:
    """What somebody changed in a child by hand is set back, and what is missing is made again."""
    bench.put("ModelRunner", "default", {})
    bench.put("Model", "m", MODEL)
    await bench.serving()
    name = {"name": "m", "namespace": bench.namespace}
    bench.api.merge(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": name,
            "spec": {"progressDeadlineSeconds": 7},
        }
    )
    bench.api.delete("v1", "Service", "m", bench.namespace)
    await bench.until_still("m")
    spec = bench.must("apps/v1", "Deployment", "m")["spec"]
    assert spec["progressDeadlineSeconds"] == 2400
    bench.must("v1", "Service", "m")


async def test_a_deleted_model_is_let_go(bench: Bench) -> None:
    """Foreground deletion is told as Terminating, and nothing is made anew."""
    bench.put("ModelRunner", "default", {})
    bench.put("Model", "m", MODEL)
    await bench.serving()
    bench.api.merge(
        {
            "apiVersion": "modelrunner.dev/v1alpha1",
            "kind": "Model",
            "metadata": {"name": "m", "namespace": bench.namespace, "finalizers": ["t/t"]},
        }
    )
    bench.api.delete(
        "modelrunner.dev/v1alpha1", "Model", "m", bench.namespace, propagation="Foreground"
    )
    wait_until(
        "the Service collected",
        lambda: bench.api.get("v1", "Service", "m", bench.namespace) is None,
        seconds=PATIENCE,
    )
    model = await bench.until_still("m")
    assert says(model, "Ready") == ("False", "Terminating")
    assert model["status"]["phase"] == "Terminating"
    assert bench.api.get("v1", "Service", "m", bench.namespace) is None
    bench.api.merge(
        {
            "apiVersion": "modelrunner.dev/v1alpha1",
            "kind": "Model",
            "metadata": {"name": "m", "namespace": bench.namespace, "finalizers": []},
        }
    )


def test_why_the_deployment_is_not_made_by_post(bench: Bench) -> None:
    """What a POST has set stays its manager's: an apply that leaves it out does not remove it.

    So the Deployment is made by its first apply, which leaves replicas to the server's default.
    """
    labels = {"app": "x"}
    container: dict[str, Any] = {"name": "c", "image": "i"}

    def deployment(name: str, *env: str) -> Object:
        runner = container | {"env": [{"name": one, "value": "1"} for one in env]}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": bench.namespace},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [runner]}},
            },
        }

    def left(name: str) -> list[str]:
        bench.api.apply(deployment(name, "A", "B"), manager="ours")
        spec = bench.api.apply(deployment(name, "A"), manager="ours")["spec"]
        assert spec["replicas"] == 1
        return [item["name"] for item in spec["template"]["spec"]["containers"][0]["env"]]

    bench.api.create(deployment("posted", "A", "B"), manager="ours-scale")
    assert left("posted") == ["A", "B"]
    assert left("applied") == ["A"]
