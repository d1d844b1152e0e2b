"""From awake to asleep through a closed door, on a real API server with runners over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from modelrunner.domain.objects import format_time
from modelrunner_protocol.runner import Closing
from tests.integration.reconcilers.bench import Bench, condition, written
from tests.integration.reconcilers.stage import Stage, writes_in
from tests.support.door_runners import door_runners
from tests.support.kubeapi import Object
from tests.support.pod_statuses import running

pytestmark = pytest.mark.control_plane


@pytest.fixture
async def stage(bench: Bench) -> AsyncIterator[Stage]:
    """A bench whose runners answer over HTTP."""
    async with door_runners() as doors:
        found = Stage(bench, doors)
        yield found
        await found.close()


def touch(stage: Stage) -> None:
    """Somebody changes something about the Deployment."""
    meta = {
        "name": "m",
        "namespace": stage.bench.namespace,
        "annotations": {"touched": format_time(stage.now)},
    }
    stage.bench.api.merge({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta})


async def test_an_idle_model_goes_to_sleep_and_stays(stage: Stage) -> None:
    """At its deadline, not before; asked with the use that was seen; then nothing is written."""
    runner = await stage.serve()
    used = stage.now
    runner.used(used)
    stage.later(70)
    await stage.look()
    assert stage.status["lastUsedTime"] == format_time(used)
    assert stage.status["idleDeadline"] == format_time(used + 300)
    stage.later(used + 299 - stage.now)
    wait = await stage.look()
    assert (stage.replicas, runner.asked) == (1, [])
    assert wait is not None
    assert 0 < wait <= 1

    stage.later(1.1)
    await stage.look()
    assert stage.replicas == 0
    assert runner.asked == ["/close"]
    assert runner.closings == [Closing(lease=30, last_used_at=used)]
    model = await stage.bench.until_still("m")
    assert model["status"]["phase"] == "Idle"
    assert condition(model, "Ready")["reason"] == "ScaledToZero"  # type: ignore[index]  # asserted
    assert model["status"]["lastUsedTime"] == format_time(used)
    assert "idleDeadline" not in model["status"]
    assert stage.events("ScaledDown") == ["nobody has used it for 5m0s: 1 → 0 runners"]
    assert stage.bench.steps == ["down done"]
    assert await writes_in(stage, 600) == 0
    assert await stage.look() is None


async def test_nothing_is_written_while_nobody_comes(stage: Stage) -> None:
    """Polls cost no write, in this process and in the next; the deadline is kept all the same."""
    await stage.serve()
    assert await writes_in(stage, 200) == 0
    stage.bench.restart()
    assert await writes_in(stage, 80) == 0
    assert stage.replicas == 1
    stage.later(30)
    await stage.look()
    assert stage.replicas == 0


async def test_use_is_written_once_a_minute_at_most(stage: Stage) -> None:
    """Under constant use each write moves the time by a minute, and the last use is told, too."""
    runner = await stage.serve()
    stage.later(60)
    statuses = written("patch", "models.modelrunner.dev")
    for _ in range(60):
        stage.later(10)
        runner.used(stage.now, in_flight=1)
        await stage.look()
    told = written("patch", "models.modelrunner.dev") - statuses
    assert 9 <= told <= 10
    last = stage.now
    runner.used(last, in_flight=0)
    await stage.looks_for(120)
    assert stage.status["lastUsedTime"] == format_time(last)
    assert written("patch", "models.modelrunner.dev") - statuses <= told + 2
    assert stage.replicas == 1


async def test_a_knock_between_the_look_and_the_closing(stage: Stage) -> None:
    """The runner says no, and everything stays open; once it is idle again, it sleeps."""
    runner = await stage.serve()
    stage.later(301)

    async def knock() -> None:
        runner.used(stage.now)

    runner.knock = knock
    await stage.look()
    assert (stage.replicas, runner.closed) == (1, False)
    assert stage.bench.steps == ["down busy"]
    assert stage.events("ScaledDown") == []
    await stage.looks_for(290)
    assert stage.replicas == 1
    stage.later(15)
    runner.knock = _nobody
    await stage.look()
    assert stage.replicas == 0


async def _nobody() -> None:
    """Nobody comes."""


async def test_somebody_changes_the_deployment_between_closing_and_scaling(stage: Stage) -> None:
    """The scale is refused and the door opens again at once; the next look sleeps."""
    runner = await stage.serve()
    stage.later(301)

    async def change() -> None:
        touch(stage)

    runner.knock = change
    await stage.look()
    assert (stage.replicas, runner.closed) == (1, False)
    assert runner.asked == ["/close", "/open"]
    assert stage.bench.steps == ["down outrun"]
    runner.knock = _nobody
    await stage.look()
    assert (stage.replicas, runner.closed) == (0, True)


async def test_a_runner_that_does_not_answer_keeps_everything_as_it_is(stage: Stage) -> None:
    """Unknown is not idle, of any of them; and what was known of its use is kept."""
    runner = await stage.serve()
    runner.used(stage.now)
    stage.later(70)
    await stage.look()
    before = stage.status
    runner.silent = True
    assert await writes_in(stage, 900) == 0
    assert stage.replicas == 1
    assert stage.status == before
    runner.silent = False
    await stage.look()
    assert stage.replicas == 0


async def test_the_operator_dies_between_closing_and_scaling(stage: Stage) -> None:
    """Cancelled, it opens the door; killed, its successor finds it closed and judges anew."""
    runner = await stage.serve()
    stage.later(301)
    arrived, over = asyncio.Event(), asyncio.Event()

    async def die() -> None:
        arrived.set()
        await over.wait()

    runner.knock = die
    await stage.bench.look()
    task = asyncio.create_task(stage.bench.models.reconcile((stage.bench.namespace, "m")))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (stage.replicas, runner.asked) == (1, ["/close", "/open"])
    over.set()

    runner.knock = _nobody
    runner.used(stage.now, closed_until=stage.now + 30)
    stage.bench.restart()
    await stage.look()
    assert (stage.replicas, runner.closed) == (1, False)
    stage.later(301)
    runner.used(stage.now - 300, closed_until=stage.now + 30)
    stage.bench.restart()
    await stage.look()
    assert stage.replicas == 0


async def test_keep_alive_of_the_model_before_the_runners(stage: Stage) -> None:
    """0: at once, but not before a minute in which the request that woke it may come."""
    runner = await stage.serve({"keepAlive": "0"}, {"keepAlive": "-1"})
    await stage.looks_for(50)
    assert stage.replicas == 1
    runner.used(stage.now, in_flight=1)
    await stage.looks_for(100)
    assert stage.replicas == 1
    runner.used(stage.now, in_flight=0)
    await stage.look()
    assert stage.replicas == 0


async def test_keep_alive_of_a_request(stage: Stage) -> None:
    """It counts instead of the Model's, until the next that names one."""
    runner = await stage.serve({"keepAlive": "5m"})
    runner.used(stage.now, keep_alive=-1.0)
    await stage.looks_for(900)
    assert stage.replicas == 1
    assert "idleDeadline" not in stage.status
    runner.used(stage.now, keep_alive=20.0)
    await stage.looks_for(10)
    assert stage.replicas == 1
    await stage.looks_for(20)
    assert stage.replicas == 0


async def test_minus_one_never_sleeps_and_is_hardly_looked_at(stage: Stage) -> None:
    """Only a request's own keep_alive could change that: one look a minute."""
    runner = await stage.serve({"keepAlive": "-1"})
    assert await stage.look() == 60
    stage.later(10**6)
    await stage.look()
    assert (stage.replicas, runner.asked) == (1, [])
    assert "idleDeadline" not in stage.status


async def test_min_replicas(stage: Stage) -> None:
    """They stay however idle; what somebody has put to sleep is woken."""
    await stage.serve({"scaling": {"minReplicas": 1}})
    stage.later(10**6)
    await stage.look()
    assert stage.replicas == 1
    stage.bench.scale("m", 0)
    await stage.until_replicas(1)
    assert stage.events("ScaledUp") == ["minReplicas is 1: 0 → 1 runners"]
    stage.bench.put("ModelRunner", "default", {"scaling": {"minReplicas": 3}})
    stage.bench.put("Model", "m", {"source": {"http": {"url": "http://files.example/m.gguf"}}})
    await stage.until_replicas(3)


async def test_bounds_that_contradict_each_other_across_both(stage: Stage) -> None:
    """InvalidConfiguration, and what serves is left alone."""
    await stage.serve({"scaling": {"minReplicas": 1}}, {"scaling": {"maxReplicas": 2}})
    stage.bench.put("ModelRunner", "default", {"scaling": {"minReplicas": 3}})
    model = {"source": {"http": {"url": "http://files.example/m.gguf"}}}
    stage.bench.put("Model", "m", model | {"scaling": {"maxReplicas": 2}})
    found = await stage.bench.until_still("m")
    stalled = condition(found, "Stalled")
    assert stalled is not None
    assert stalled["reason"] == "InvalidConfiguration"
    assert "minReplicas 3 is more than maxReplicas 2" in stalled["message"]
    stage.later(10**6)
    await stage.look()
    assert stage.replicas == 1


async def test_a_runner_without_a_door(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """An older image is never scaled down, and the log says so once."""
    runner = await stage.serve()
    runner.doorless = True
    stage.later(301)
    await stage.look()
    await stage.looks_for(200)
    assert (stage.replicas, runner.asked) == (1, ["/close", "/open"])
    assert len([one for one in caplog.messages if "is not scaled down" in one]) == 1


async def test_a_rollout_is_not_scaled_down(stage: Stage) -> None:
    """While other pods are being made, the old ones stay."""
    await stage.serve()
    stage.bench.put("Model", "m", {"config": {"contextSize": 512}, "source": _source()})
    stage.later(10**6)
    await stage.look(2)
    assert stage.replicas == 1


def _source() -> Object:
    return {"http": {"url": "http://files.example/m.gguf"}}


async def test_a_wake_that_never_becomes_ready_is_left_as_it_is(stage: Stage) -> None:
    """Nothing ready was seen, so nothing is known; the conditions say why it does not serve."""
    await stage.serve()
    stage.later(301)
    await stage.look()
    assert stage.replicas == 0
    await stage.bench.until_still("m")
    stage.bench.scale("m", 1)
    pod = stage.bench.runner_pod()
    await stage.looks_for(600, every=60)
    assert stage.replicas == 1
    stage.bench.set_status(pod, running("runner", "127.0.1.99"))
    await stage.looks_for(6000, every=600)
    assert stage.replicas == 1
    assert stage.status["phase"] == "Starting"


async def test_held_requests_keep_it_awake(stage: Stage) -> None:
    """They wait at the gateways, told by the runner."""
    runner = await stage.serve()
    runner.status = replace(runner.status, held=3)
    stage.later(10**6)
    await stage.look()
    assert (stage.replicas, runner.asked) == (1, [])


async def test_what_the_gateway_reads(stage: Stage) -> None:
    """Effective values: of the runner, of the Model over it, and none where there is no limit."""
    await stage.serve(
        {"limits": {"concurrentRequests": 4}},
        {
            "limits": {"concurrentRequests": 9, "requestsPerMinute": 60},
            "activation": {"maxHeld": 7, "timeout": "90s"},
        },
    )
    assert stage.status["activation"] == {"maxHeld": 7, "timeoutSeconds": 90}
    assert stage.status["limits"] == {"concurrentRequests": 4, "requestsPerMinute": 60}
    stage.bench.put("ModelRunner", "default", {"keepAlive": "5m"})
    stage.bench.put("Model", "m", {"source": _source()})
    await stage.bench.until_still("m")
    assert stage.status["activation"] == {"maxHeld": 100, "timeoutSeconds": 300}
    assert "limits" not in stage.status
