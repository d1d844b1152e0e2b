"""Volumes with room for one runner: rollouts without a place beside it, and ReadWriteOncePod."""

import pytest

from modelrunner_protocol.wire import Outcome
from tests.integration.reconcilers.stage import MODEL, Stage
from tests.integration.reconcilers.test_volumes import (
    RUNNERS,
    all_ready,
    given_up,
    nodes,
    plane,
    pods,
    stage,
    told,
    until_placed,
    until_told,
    until_untold,
)
from tests.support.fake_nodes import FakeNodes
from tests.support.pod_statuses import ARTIFACT

__all__ = ["nodes", "plane", "stage"]

pytestmark = pytest.mark.control_plane

PULLS = "app.kubernetes.io/component=pull"


async def test_a_rollout_that_has_no_room(stage: Stage, nodes: FakeNodes) -> None:
    """It says that it needs room for one more on that node, and how to do without; that helps."""
    bench = stage.bench
    nodes.add("a", "1500m")
    nodes.volume("v", "ReadWriteOnce")
    bench.put("ModelRunner", "default", nodes.runner("1"))
    bench.put("Model", "m", MODEL)
    await bench.cached("m")
    await until_placed(stage, 1)
    await all_ready(stage, 1)
    # Elsewhere there is room enough, where the volume cannot be mounted.
    nodes.add("b", "64")
    bench.put("Model", "m", MODEL | {"warmup": {"enabled": False}})
    await until_placed(stage, 1, waiting=1)
    stalled = await until_told(stage, "Stalled")
    assert stalled["reason"] == "Unschedulable"
    (claim,) = bench.api.list("v1", "PersistentVolumeClaim", bench.namespace)
    where = f"on the node of PersistentVolumeClaim {claim['metadata']['name']} (ReadWriteOnce)"
    assert where in stalled["message"]
    assert "kubectl scale deployment m --replicas=0" in stalled["message"]
    assert stage.status["phase"] == "Ready"

    bench.scale("m", 0)
    bench.wait_for_pods(lambda: not pods(stage))
    for pod in bench.api.list("v1", "Pod", bench.namespace, label_selector=RUNNERS):
        # No kubelet ends it.
        path = bench.api.path("v1", "Pod", bench.namespace, pod["metadata"]["name"])
        bench.api.request("DELETE", path, query={"gracePeriodSeconds": "0"})
    await stage.until("Idle", lambda: stage.status["phase"] == "Idle")
    bench.scale("m", 1)
    await until_placed(stage, 1)
    await until_untold(stage, "Stalled")


async def test_a_volume_for_one_pod_alone(stage: Stage, nodes: FakeNodes) -> None:
    """The pull has it, then one runner; a new one waits until the former one has gone."""
    bench = stage.bench
    nodes.add("a", "8")
    nodes.volume("v", "ReadWriteOncePod")
    nodes.claim(bench.namespace, "one", "ReadWriteOncePod")
    cache = {"existingClaim": "one"}
    scaling = {"minReplicas": 2, "maxReplicas": 3}
    bench.put("ModelRunner", "default", nodes.runner("100m", cache=cache, scaling=scaling))
    bench.put("Model", "m", MODEL)
    await bench.until_still("m")
    await until_placed(stage, 1, of="app.kubernetes.io/component=resolve")
    bench.end_pod("resolve", Outcome(artifact=ARTIFACT), exit_code=0)
    await bench.until_still("m")
    await until_placed(stage, 1, of=PULLS)
    assert pods(stage) == []
    limited = await until_told(stage, "ReplicasLimited")
    assert "PersistentVolumeClaim one is ReadWriteOncePod" in limited["message"]
    bench.end_pod("pull", Outcome(artifact=ARTIFACT), exit_code=0)
    await until_placed(stage, 1)
    await all_ready(stage, 1)
    await stage.until("Ready", lambda: stage.status["phase"] == "Ready")
    assert stage.replicas == 1

    bench.put("Model", "m", MODEL | {"warmup": {"enabled": False}})
    await bench.once("m")
    bench.wait_for_pods(lambda: bool(given_up(pods(stage))))
    stage.later(10)

    def waits() -> bool:
        found = told(stage, "Reconciling")
        return found is not None and "waiting for the previous pod to stop" in found["message"]

    await stage.until("it waits for the previous pod", waits)
    assert told(stage, "Stalled") is None
