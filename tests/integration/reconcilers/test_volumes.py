"""Volumes that one node alone can mount, with a real scheduler over nodes without kubelets."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from modelrunner.domain.naming import (
    MANAGED_BY,
    MANAGED_BY_LABEL,
    RENDERED_ANNOTATION,
    VOLUMES_ANNOTATION,
    cache_label,
)
from modelrunner.domain.volumes_limit import PATIENCE, RETRY
from modelrunner.kube.client import KubeClient
from modelrunner.reconcilers.probe import HttpRunnerProbe
from tests.cluster.control_plane import ControlPlane
from tests.cluster.waiting import wait_until
from tests.integration.reconcilers.bench import WRITES, Bench, condition
from tests.integration.reconcilers.stage import MODEL, Stage, writes_in
from tests.support.door_runners import door_runners
from tests.support.fake_nodes import FakeNodes
from tests.support.kubeapi import KubeApi, Object
from tests.support.namespaces import fresh_namespace
from tests.support.planes import install_kinds
from tests.support.pod_statuses import running

pytestmark = pytest.mark.control_plane

RUNNERS = "app.kubernetes.io/component=runner"


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """A control plane whose scheduler runs; other tests play it by hand."""
    with ControlPlane() as found:
        found.start_scheduler()
        yield found


@pytest.fixture
async def stage(plane: ControlPlane) -> AsyncIterator[Stage]:
    """A stage over that control plane."""
    with KubeApi.connect(plane.kubeconfig) as api:
        install_kinds(api)
        namespace = fresh_namespace(api)
        async with (
            await KubeClient.connected(kubeconfig=str(plane.kubeconfig), writes=WRITES) as client,
            door_runners() as doors,
        ):
            found = Stage(Bench(api, client, namespace), doors)
            yield found
            await found.close()


@pytest.fixture
def nodes(stage: Stage) -> FakeNodes:
    """Nodes that only the pods of this test use."""
    return FakeNodes(stage.bench.api, stage.bench.namespace)


def pods(stage: Stage, selector: str = RUNNERS) -> list[Object]:
    """The pods that are not on their way out."""
    found = stage.bench.api.list("v1", "Pod", stage.bench.namespace, label_selector=selector)
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def placed(found: list[Object]) -> list[Object]:
    """Those that have a node."""
    return [pod for pod in found if pod["spec"].get("nodeName")]


def given_up(found: list[Object]) -> list[Object]:
    """Those that the scheduler has found no node for."""
    conditions = [(pod, one) for pod in found for one in pod["status"].get("conditions", [])]
    return [pod for pod, one in conditions if one.get("reason") == "Unschedulable"]


async def until_placed(stage: Stage, count: int, *, waiting: int = 0, of: str = RUNNERS) -> None:
    """Look until so many pods have nodes, and so many are told to have none."""

    def done() -> bool:
        found = pods(stage, of)
        return (len(placed(found)), len(given_up(found))) == (count, waiting)

    for _ in range(3):
        await stage.look()
    wait_until(f"{count} pods on nodes, {waiting} without", done, seconds=120)
    await stage.look()


async def all_ready(stage: Stage, count: int) -> None:
    """The pods that have nodes become ready, and answer."""
    for pod in placed(pods(stage)):
        if pod["status"].get("podIP"):
            continue
        address = f"127.0.1.{len(stage.runners) + 1}"
        stage.runners.append(await stage.doors.add(address, warmed_at=stage.now))
        stage.bench.set_status(pod, running("runner", address, ready=True))
    if stage.bench.real is None:
        stage.bench.real = HttpRunnerProbe(port=stage.doors.port, timeout=60)
        stage.bench.restart()

    def counted() -> bool:
        status = stage.bench.must("apps/v1", "Deployment", "m").get("status") or {}
        return int(status.get("readyReplicas", 0)) == count

    wait_until("ready runners", counted, seconds=120)
    await stage.look(2)


def told(stage: Stage, kind: str = "ReplicasLimited") -> Object | None:
    """A condition of the Model."""
    return condition(stage.bench.model("m"), kind)


async def until_told(stage: Stage, kind: str) -> Object:
    """Look until the Model has a condition: controllers may come in between."""
    await stage.until(f"{kind} told", lambda: told(stage, kind) is not None)
    found = told(stage, kind)
    assert found is not None
    return found


async def until_untold(stage: Stage, kind: str) -> None:
    """Look until the Model has that condition no more."""
    await stage.until(f"{kind} not told", lambda: told(stage, kind) is None)


async def test_a_runner_too_many_is_taken_back_and_told(stage: Stage, nodes: FakeNodes) -> None:
    """Two of three fit where the volume is; the third is tried again later, and fits then."""
    home, other = nodes.add("a", "2500m"), nodes.add("b", "2500m")
    nodes.volume("v", "ReadWriteOnce")
    stage.bench.stop_clock()
    stage.bench.put("ModelRunner", "default", nodes.runner(scaling={"minReplicas": 3}))
    stage.bench.put("Model", "m", MODEL)
    await stage.bench.cached("m")
    await until_placed(stage, 2, waiting=1)
    [found] = {pod["spec"]["nodeName"] for pod in placed(pods(stage))}
    assert found in {home, other}
    await all_ready(stage, 2)
    assert told(stage) is None
    assert told(stage, "Stalled") is None

    # The scheduler has given up before this moment.
    stage.bench.stop_clock()
    stage.later(PATIENCE + 5)
    await stage.until_replicas(2)
    await stage.bench.until_still("m")
    limited = await until_told(stage, "ReplicasLimited")
    assert (limited["status"], limited["reason"]) == ("True", "SingleNodeVolume")
    assert "3 runners are wanted and 2 run" in limited["message"]
    assert f"node {found} has no room" in limited["message"]
    assert "spec.cache.accessMode of ModelRunner default" in limited["message"]
    assert stage.status["phase"] == "Ready"
    assert told(stage, "Stalled") is None
    stage.bench.wait_for_pods(lambda: len(pods(stage)) == 2)
    stage.bench.rolled_out("m", 2)
    await stage.bench.until_still("m")
    assert await writes_in(stage, 300) == 0

    # A new process neither forgets nor tries at once.
    stage.bench.restart()
    await stage.bench.until_still("m")
    assert stage.replicas == 2
    assert told(stage) is not None

    nodes.resize(found, "4")
    stage.later(RETRY)
    await stage.until_replicas(3)
    await until_placed(stage, 3)
    assert {pod["spec"]["nodeName"] for pod in pods(stage)} == {found}
    await all_ready(stage, 3)
    await until_untold(stage, "ReplicasLimited")


async def test_a_volume_of_all_nodes_limits_nothing(stage: Stage, nodes: FakeNodes) -> None:
    """What the volume offers counts: its runners spread although the claim asks for one node."""
    homes = {nodes.add("a", "1500m"), nodes.add("b", "1500m")}
    nodes.volume("v", "ReadWriteOnce", "ReadWriteMany")
    stage.bench.put("ModelRunner", "default", nodes.runner(scaling={"minReplicas": 2}))
    stage.bench.put("Model", "m", MODEL)
    await stage.bench.cached("m")
    await until_placed(stage, 2)
    assert {pod["spec"]["nodeName"] for pod in pods(stage)} == homes


async def test_pods_of_an_older_operator_are_found(stage: Stage, nodes: FakeNodes) -> None:
    """They get the label before anybody looks for it; without it a Job would land elsewhere."""
    nodes.add("a", "8")
    home = nodes.add("b", "1")
    nodes.volume("v", "ReadWriteOnce")
    namespace = stage.bench.namespace
    nodes.claim(namespace, "shared", "ReadWriteOnce")
    old = stage.bench.api.create(_old_pod(namespace, home))
    runner = nodes.runner("100m", cache={"existingClaim": "shared"})
    stage.bench.put("ModelRunner", "default", runner)
    stage.bench.put("Model", "m", MODEL)
    await until_placed(stage, 1, of="app.kubernetes.io/component=resolve")
    [job] = pods(stage, "app.kubernetes.io/component=resolve")
    assert job["spec"]["nodeName"] == home
    kept = stage.bench.must("v1", "Pod", "old")
    assert kept["metadata"]["labels"][cache_label("shared")] == "true"
    assert kept["metadata"]["uid"] == old["metadata"]["uid"]


def _old_pod(namespace: str, node: str) -> dict[str, Any]:
    labels = {MANAGED_BY_LABEL: MANAGED_BY, "app.kubernetes.io/component": "runner"}
    volume = {"name": "cache", "persistentVolumeClaim": {"claimName": "shared"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "old", "namespace": namespace, "labels": labels},
        "spec": {
            "nodeName": node,
            "containers": [{"name": "runner", "image": "x"}],
            "volumes": [volume],
            "tolerations": [{"operator": "Exists"}],
        },
    }


async def test_a_runner_goes_where_its_draft_runs(stage: Stage, nodes: FakeNodes) -> None:
    """Two claims of one node each: the runner that mounts both follows the pods of the draft."""
    home = nodes.add("a", "8")
    nodes.volume("v", "ReadWriteOnce")
    nodes.volume("w", "ReadWriteOnce")
    bench = stage.bench
    small = {"source": {"http": {"url": "http://files.example/small.gguf"}}}
    bench.put("ModelRunner", "default", nodes.runner("100m"))
    bench.put("Model", "small", small)
    await bench.cached("small")
    await until_placed(stage, 1)
    # It is the emptier one from now on.
    nodes.add("b", "64")

    bench.put("Model", "m", MODEL | {"config": {"speculative": {"draftModel": "small"}}})
    await bench.cached("m")
    await until_placed(stage, 2)
    assert {pod["spec"]["nodeName"] for pod in placed(pods(stage))} == {home}


async def test_an_older_operators_runners_roll_on_their_node(
    stage: Stage, nodes: FakeNodes
) -> None:
    """Nothing restarts by the upgrade; with the next wish the new pod finds the one of before."""
    home = nodes.add("a", "8")
    nodes.volume("v", "ReadWriteOnce")
    bench = stage.bench
    bench.put("ModelRunner", "default", nodes.runner("100m"))
    bench.put("Model", "m", MODEL)
    await bench.cached("m")
    await until_placed(stage, 1)
    made_by_an_older_operator(stage)
    [before] = pods(stage)
    assert not [name for name in before["metadata"]["labels"] if "/cache-" in name]
    nodes.add("b", "64")
    await bench.until_still("m")
    assert [pod["metadata"]["uid"] for pod in pods(stage)] == [before["metadata"]["uid"]]

    bench.put("Model", "m", MODEL | {"warmup": {"enabled": False}})
    await until_placed(stage, 2)
    assert {pod["spec"]["nodeName"] for pod in pods(stage)} == {home}
    kept = bench.must("v1", "Pod", before["metadata"]["name"])
    assert kept["metadata"]["uid"] == before["metadata"]["uid"]


def made_by_an_older_operator(stage: Stage) -> None:
    """The Deployment and its pod are as they were before there were labels and affinity."""
    bench = stage.bench
    bench.scale("m", 0)
    bench.wait_for_pods(lambda: not pods(stage))
    for pod in bench.api.list("v1", "Pod", bench.namespace, label_selector=RUNNERS):
        # No kubelet ends it.
        path = bench.api.path("v1", "Pod", bench.namespace, pod["metadata"]["name"])
        bench.api.request("DELETE", path, query={"gracePeriodSeconds": "0"})
    found = bench.must("apps/v1", "Deployment", "m")
    labels = found["spec"]["template"]["metadata"]["labels"]
    gone = {name: None for name in labels if "/cache-" in name}
    assert gone
    bench.api.merge(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": "m",
                "namespace": bench.namespace,
                "annotations": {VOLUMES_ANNOTATION: None, RENDERED_ANNOTATION: "earlier"},
            },
            "spec": {
                "replicas": 1,
                "template": {"metadata": {"labels": gone}, "spec": {"affinity": None}},
            },
        }
    )
    bench.wait_for_pods(lambda: len(placed(pods(stage))) == 1)
