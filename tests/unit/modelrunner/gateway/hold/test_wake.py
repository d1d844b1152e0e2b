"""How a sleeping model is woken, and what is told when it cannot be; in virtual time."""

import asyncio

import pytest

from modelrunner.gateway.hold.runners import Readiness
from modelrunner.gateway.hold.scaling import Attempt, Tried
from modelrunner.gateway.messages import Failure, Outcome
from tests.support.gateway_world import (
    LOADING,
    READY,
    World,
    forwarded,
    header,
    held,
    host_of,
    told,
)
from tests.support.table_objects import condition
from tests.support.virtual_time import virtual

A, B = "10.0.0.1", "10.0.0.2"


@virtual
async def test_a_sleeping_model_is_woken_once_and_serves_in_order_of_arrival() -> None:
    """However many wait there is one scale-up, and the runner's slots bound what it gets."""
    async with World() as world:
        world.sleeping("ml/smol")
        waiting = [held(world.chat("smol", user=str(number))) for number in range(10)]
        await asyncio.sleep(3)
        assert [path for _, path in world.scaler.calls] == ["ml/smol"]
        world.pods("ml/smol", starting=[A])
        world.runners.say(A, LOADING)
        await asyncio.sleep(3)
        assert not any(one.decided.done() for one in waiting)
        world.runners.say(A, Readiness(ready=True, slots=1))
        await world.settled()
        # A slot and two that are ready to follow.
        assert [one.decided.done() for one in waiting] == [True] * 3 + [False] * 7
        for number in range(10):
            forward = forwarded(waiting[number].decided.result())
            (cold,) = forward.extra
            assert cold[0] == b"x-model-cold-start"
            assert float(cold[1]) == pytest.approx(6.0, abs=0.1)
            forward.ticket.first_byte(200)
            forward.ticket.done(Outcome.COMPLETE, b"")
            await world.settled()
        assert len(world.scaler.calls) == 1
        assert world.holds.held == world.holds.held_bytes == 0
        assert world.meters.models[world.entry("smol")].wakes == {"ready": 1}


@virtual
async def test_a_client_that_leaves_frees_its_place_and_the_wake_goes_on() -> None:
    """Also when it is the one whose request caused the wake, and the only one."""
    async with World() as world:
        world.sleeping("ml/smol")
        world.scaler.script = [Tried(Attempt.UNREACHABLE, "no route")]
        alone = held(world.chat("smol"))
        await asyncio.sleep(0.5)
        alone.leave()
        assert world.holds.held == 0
        await asyncio.sleep(2)
        assert len(world.scaler.calls) == 2
        world.pods("ml/smol", starting=[A])
        await asyncio.sleep(5)
        assert not world.runners.asked, "nobody is waiting: the pod is left in peace"
        world.pods("ml/smol", ready=[A])
        await world.settled()
        assert world.meters.models[world.entry("smol")].wakes == {"ready": 1}
        assert world.ended[0].outcome == "client_left"


@virtual
async def test_a_hopeless_model_is_told_at_once() -> None:
    """With the Model's own reason and message, and no wake; clients are told not to repeat it."""
    async with World() as world:
        world.failing("ml/smol", "PullFailed", "404 from the source: mend spec.source")
        answer = world.chat("smol")
        status, code, message = told(answer)
        assert (status, code) == (503, "PullFailed")
        assert message.endswith("until somebody acts: 404 from the source: mend spec.source")
        assert header(answer, b"retry-after") == b"60"
        assert header(answer, b"x-should-retry") == b"false"
        await asyncio.sleep(1)
        assert not world.scaler.calls


@virtual
async def test_a_wake_that_becomes_hopeless_ends_for_all_who_wait() -> None:
    """All are told the reason in the moment it is known."""
    async with World() as world:
        world.sleeping("ml/smol")
        waiting = [held(world.chat("smol")) for _ in range(3)]
        await asyncio.sleep(1)
        world.pods("ml/smol", starting=[A])
        world.failing("ml/smol", "CrashLooping", "the engine ended with status 1", replicas=1)
        await world.settled()
        for one in waiting:
            assert told(one.decided.result())[:2] == (503, "CrashLooping")
        assert world.meters.models[world.entry("smol")].wakes == {"failed": 1}
        assert world.runners.asking == 0


@virtual
async def test_a_model_that_is_being_deleted_is_not_woken() -> None:
    """Its pods go away: it is answered as if it were gone."""
    async with World() as world:
        item = {
            "metadata": {
                "namespace": "ml",
                "name": "smol",
                "uid": "1",
                "resourceVersion": "9",
                "deletionTimestamp": "2026-07-01T00:00:00Z",
            },
            "status": {"phase": "Idle"},
        }
        world.table.put_model(item)
        assert told(world.chat("smol"))[:2] == (404, "model_not_found")


@virtual
async def test_a_model_that_is_being_pulled_is_woken_as_soon_as_it_can_be() -> None:
    """It has no Deployment before, so nothing is tried."""
    async with World() as world:
        world.put("ml/smol", "Pulling", condition("Ready", "False", "Pulling", "43%"))
        waiting = held(world.chat("smol"))
        await asyncio.sleep(60)
        assert not world.scaler.calls
        world.sleeping("ml/smol")
        await asyncio.sleep(1)
        assert len(world.scaler.calls) == 1
        assert not waiting.decided.done()


@virtual
async def test_pulling_for_too_long_is_told() -> None:
    """The 503 says how far the pull is."""
    async with World() as world:
        world.put("ml/smol", "Pulling", condition("Ready", "False", "Pulling", "43%"), timeout=5)
        waiting = held(world.chat("smol"))
        await asyncio.sleep(5.1)
        assert "within 5 s: Pulling: 43%. It" in told(waiting.decided.result())[2]


@virtual
async def test_a_refused_wake_is_told_in_the_503() -> None:
    """RBAC says no: it is tried again, more and more slowly, until the time is over."""
    async with World() as world:
        world.sleeping("ml/smol", timeout=20)
        world.scaler.default = Tried(Attempt.REFUSED, "the API server refused it: no rights")
        waiting = held(world.chat("smol"))
        await asyncio.sleep(20.1)
        assert told(waiting.decided.result())[2].startswith(
            "The model ml/smol could not take this request within 20 s: it sleeps and could not be "
            "woken: the API server refused it: no rights."
        )
        began = world.scaler.calls[0][0]
        tries = [round(when - began) for when, _ in world.scaler.calls]
        assert tries == [0, 1, 3, 7, 12, 17]
        await world.settled()
        assert world.meters.models[world.entry("smol")].wakes == {"refused": 1}


@virtual
async def test_an_api_server_that_is_away_is_asked_until_it_is_back() -> None:
    """As slowly as it asks for, but no slower than every five seconds."""
    async with World() as world:
        world.sleeping("ml/smol")
        world.scaler.script = [Tried(Attempt.UNREACHABLE, "away", 60.0)] * 3
        held(world.chat("smol"))
        await asyncio.sleep(16)
        assert len(world.scaler.calls) == 4
        await asyncio.sleep(2)
        world.pods("ml/smol", ready=[A])
        await world.settled()
        assert world.meters.models[world.entry("smol")].wakes == {"ready": 1}


@virtual
async def test_somebody_who_was_first_is_waited_for_a_second() -> None:
    """422 means that pods will come; only if none does it is tried again."""
    async with World() as world:
        world.sleeping("ml/smol")
        world.scaler.default = Tried(Attempt.AWAKE)
        held(world.chat("smol"))
        await asyncio.sleep(0.9)
        assert len(world.scaler.calls) == 1
        await asyncio.sleep(0.3)
        assert len(world.scaler.calls) == 2
        world.pods("ml/smol", starting=[A])
        await asyncio.sleep(30)
        assert len(world.scaler.calls) == 2


@virtual
async def test_pods_that_go_while_we_wait_are_woken_again_at_once() -> None:
    """The race with a scale-down: the door was closed, then the pod went."""
    async with World() as world:
        world.awake("ml/smol", A)
        sent = forwarded(world.chat("smol"))
        world.runners.say(A, LOADING)
        waiting = held(sent.ticket.failed(Failure.DRAINING))
        await asyncio.sleep(1.5)
        assert not world.scaler.calls, "there still is a pod"
        world.sleeping("ml/smol")
        world.pods("ml/smol")
        await asyncio.sleep(0.1)
        assert len(world.scaler.calls) == 1
        world.pods("ml/smol", starting=[B])
        world.runners.say(B, READY)
        await world.settled()
        assert host_of(waiting.decided.result()) == B


@virtual
async def test_two_models_are_woken_independently() -> None:
    """One that does not come up delays no other."""
    async with World() as world:
        world.sleeping("ml/a")
        world.sleeping("ml/b")
        held(world.chat("a"))
        other = held(world.chat("b"))
        await asyncio.sleep(1)
        assert sorted(path for _, path in world.scaler.calls) == ["ml/a", "ml/b"]
        world.pods("ml/b", starting=[B])
        world.runners.say(B, READY)
        await world.settled()
        assert host_of(other.decided.result()) == B
