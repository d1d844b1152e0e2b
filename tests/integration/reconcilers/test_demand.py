"""Between one runner and many by demand, on a real API server with runners over HTTP."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from modelrunner.kube.client import KubeClient
from tests.cluster.control_plane import ControlPlane
from tests.integration.manager.worlds import account, rule
from tests.integration.reconcilers.bench import WRITES, Bench, condition
from tests.integration.reconcilers.stage import Stage, writes_in
from tests.support.door_runners import DoorRunner, door_runners
from tests.support.kubeapi import KubeApi, Object
from tests.support.pod_statuses import running

pytestmark = pytest.mark.control_plane

ELASTIC: Object = {
    "scaling": {"maxReplicas": 3, "targetConcurrency": 2},
    "keepAlive": "1h",
}


@pytest.fixture
async def stage(bench: Bench) -> AsyncIterator[Stage]:
    """A bench whose runners answer over HTTP."""
    async with door_runners() as doors:
        found = Stage(bench, doors)
        yield found
        await found.close()


def busy(stage: Stage, *loads: int) -> None:
    """So many requests in each runner."""
    for runner, load in zip(stage.runners, loads, strict=True):
        runner.used(stage.now, in_flight=load)


def pods(stage: Stage) -> dict[str, Object]:
    """The pods that are not on their way out, by address."""
    found = stage.bench.api.list("v1", "Pod", stage.bench.namespace)
    return {
        pod["status"]["podIP"]: pod
        for pod in found
        if "deletionTimestamp" not in pod["metadata"] and "podIP" in pod["status"]
    }


async def three(stage: Stage) -> list[DoorRunner]:
    """Three runners, wanted for five requests at once."""
    await stage.serve(ELASTIC)
    stage.later(20)
    busy(stage, 5)
    await stage.until_replicas(3)
    for number in (2, 3):
        await grown(stage, number)
    return stage.runners


async def grown(stage: Stage, count: int) -> None:
    """One of the new pods is ready."""
    found = await stage.doors.add(f"127.0.1.{count}", warmed_at=stage.now)
    stage.runners.append(found)
    stage.bench.wait_for_pods(lambda: bool(pending(stage)))
    stage.bench.set_status(pending(stage)[0], running("runner", found.address, ready=True))


def pending(stage: Stage) -> list[Object]:
    """The pods that no node has taken yet."""
    found = stage.bench.api.list("v1", "Pod", stage.bench.namespace)
    return [pod for pod in found if pod["status"]["phase"] == "Pending"]


async def test_one_three_one(stage: Stage) -> None:
    """Up at once; down after five minutes, one at a time, each when its last request is done."""
    runners = await three(stage)
    assert stage.events("ScaledUp") == [
        "5 requests at once, 2 are right for a runner: 1 → 3 runners"
    ]
    stage.bench.rolled_out("m", 3)
    busy(stage, 1, 0, 0)
    await stage.looks_for(290)
    assert stage.replicas == 3
    assert not any(runner.asked for runner in runners)

    # Its requests take long, and nothing is taken from it.
    busy(stage, 1, 1, 1)
    await stage.looks_for(60)
    assert stage.replicas == 3
    [leaving] = [runner for runner in runners if runner.closed]
    assert {one.drain for one in leaving.closings} == {True}
    assert len(leaving.closings) > 1
    assert condition(stage.bench.model("m"), "Reconciling") is None
    leaving.used(stage.now, in_flight=0)
    await stage.until_replicas(2)
    kept = [runner for runner in runners if runner is not leaving]
    stage.bench.wait_for_pods(lambda: set(pods(stage)) == {one.address for one in kept})
    assert not any(runner.asked for runner in kept)
    stage.bench.rolled_out("m", 2)

    for runner in kept:
        runner.used(stage.now, in_flight=0)
    await stage.looks_for(310)
    await stage.until_replicas(1)
    [last] = [runner for runner in kept if not runner.closed]
    stage.bench.wait_for_pods(lambda: set(pods(stage)) == {last.address})
    stage.bench.rolled_out("m", 1)
    await stage.looks_for(30)
    assert stage.replicas == 1
    assert await writes_in(stage, 20) == 0


async def test_demand_that_returns_opens_the_door_again(stage: Stage) -> None:
    """What is being drained is the nearest runner there is."""
    runners = await three(stage)
    stage.bench.rolled_out("m", 3)
    busy(stage, 1, 1, 1)
    await stage.looks_for(320)
    closed = [runner for runner in runners if runner.closed]
    assert len(closed) == 1
    busy(stage, 2, 2, 2)
    await stage.looks_for(10)
    assert not any(runner.closed for runner in runners)
    assert closed[0].asked[-1] == "/open"
    assert stage.replicas == 3


async def test_a_queue_that_grew_while_cold_starts_no_herd(stage: Stage) -> None:
    """It counts once the engine has had its time; and what is starting already is waited for."""
    first = await stage.serve(ELASTIC)
    first.status = replace(first.status, held=40)
    await stage.look()
    assert stage.replicas == 1
    first.status = replace(first.status, held=0, in_flight=3)
    stage.later(11)
    await stage.until_replicas(2)
    first.status = replace(first.status, in_flight=40)
    await stage.looks_for(100)
    assert stage.replicas == 2


async def test_a_runner_that_finds_no_node_is_given_up(stage: Stage) -> None:
    """It keeps nothing awake: nobody can be using it, so it goes first and without a door."""
    first = await stage.serve(ELASTIC)
    stage.later(20)
    busy(stage, 4)
    await stage.until_replicas(2)
    busy(stage, 0)
    await stage.looks_for(290)
    assert stage.replicas == 2
    await stage.looks_for(20)
    assert stage.replicas == 1
    assert not first.asked


async def test_what_others_have_added_stays_without_a_maximum(stage: Stage) -> None:
    """Nobody has said how many there may be, so `kubectl scale` and other autoscalers do."""
    await stage.serve()
    stage.bench.scale("m", 2)
    await stage.runner()
    busy(stage, 1, 0)
    await stage.looks_for(900)
    assert stage.replicas == 2
    busy(stage, 0, 0)
    await stage.looks_for(310)
    assert stage.replicas == 0
    assert [len(runner.closings) for runner in stage.runners] == [1, 1]


async def test_one_of_two_says_no(stage: Stage) -> None:
    """The one that had agreed opens again, at once."""
    first = await stage.serve()
    stage.bench.scale("m", 2)
    second = await stage.runner()

    async def knock() -> None:
        second.used(stage.now)

    second.knock = knock
    stage.later(301)
    await stage.look()
    assert stage.replicas == 2
    assert not first.closed
    assert not second.closed
    assert "/open" in first.asked


async def test_without_the_right_to_scale(
    stage: Stage, api: KubeApi, control_plane: ControlPlane, tmp_path: Path
) -> None:
    """The event says what is missing; the door opens again, and is left alone for minutes."""
    runner = await stage.serve()
    rules = [
        rule("modelrunner.dev", "models modelrunners models/status", "get list watch patch"),
        rule("apps", "deployments", "get list watch create patch"),
        rule("batch", "jobs", "get list watch create patch delete"),
        rule("", "services persistentvolumeclaims", "get list watch create patch"),
        rule("", "pods", "get list watch"),
        rule("events.k8s.io", "events", "create patch"),
    ]
    config = account(api, control_plane, stage.bench.namespace, rules, tmp_path)
    async with await KubeClient.connected(kubeconfig=str(config), writes=WRITES) as client:
        stage.bench.client = client
        stage.bench.restart()
        stage.later(301)
        await stage.look()
        assert (stage.replicas, runner.closed) == (1, False)
        [told] = stage.events("ScaleRefused")
        assert "patch deployments/scale" in told
        await stage.looks_for(200)
        assert runner.asked == ["/close", "/open"]
        assert stage.bench.steps == ["down denied"]
