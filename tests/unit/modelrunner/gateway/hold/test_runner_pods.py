"""Which runners get requests, and what happens when one gives no answer; in virtual time."""

import asyncio

import pytest

from modelrunner.gateway.hold.runners import Readiness
from modelrunner.gateway.messages import Failure, Forward
from tests.support.gateway_world import (
    LOADING,
    READY,
    World,
    forwarded,
    held,
    host_of,
    told,
)
from tests.support.virtual_time import virtual

A, B = "10.0.0.1", "10.0.0.2"


@virtual
async def test_a_runner_that_told_us_is_used_before_the_api_server_knows() -> None:
    """Whoever comes between the runner's word and the EndpointSlice's does not wait at all."""
    async with World() as world:
        world.sleeping("ml/smol")
        first = held(world.chat("smol"))
        world.pods("ml/smol", starting=[A])
        world.runners.say(A, READY)
        await world.settled()
        assert host_of(first.decided.result()) == A
        assert host_of(world.chat("smol")) == A


@virtual
async def test_a_stalled_model_that_still_has_a_ready_runner_serves() -> None:
    """What is wrong with the next pods does not touch those that serve."""
    async with World() as world:
        world.failing("ml/smol", "Unschedulable", "no node fits", replicas=2)
        world.pods("ml/smol", ready=[A])
        assert host_of(world.chat("smol")) == A


@virtual
async def test_a_door_that_opens_again_is_used_again() -> None:
    """The operator thought better of it: whoever came to the closed door goes in."""
    async with World() as world:
        world.awake("ml/smol", A)
        sent = forwarded(world.chat("smol"))
        world.runners.say(A, LOADING)
        waiting = held(sent.ticket.failed(Failure.DRAINING))
        await asyncio.sleep(7)
        world.runners.say(A, READY)
        await world.settled()
        forward = forwarded(waiting.decided.result())
        assert forward.endpoint.address[0] == A
        assert not forward.extra, "nothing was cold"
        forward.ticket.first_byte(200)
        assert forward.endpoint.rests_until == 0.0


@virtual
@pytest.mark.parametrize("failure", [Failure.UNREACHABLE, Failure.RESET, Failure.DRAINING])
async def test_another_ready_runner_is_tried_at_once(failure: Failure) -> None:
    """And the one that failed rests."""
    async with World() as world:
        entry = world.awake("ml/smol", A, B)
        sent = forwarded(world.chat("smol"))
        again = forwarded(sent.ticket.failed(failure))
        assert again.endpoint is not sent.endpoint
        assert sent.endpoint.in_flight == 0
        assert again.endpoint.in_flight == entry.in_flight == 1
        assert sent.endpoint.rests_until == world.loop.time() + 1.0
        assert host_of(world.chat("smol")) == again.endpoint.address[0]


@virtual
async def test_a_request_that_resets_runners_is_sent_three_times_at_most() -> None:
    """It may be the one that ends them."""
    async with World() as world:
        world.awake("ml/smol", A, B, "10.0.0.3", "10.0.0.4")
        decision = world.chat("smol")
        for _ in range(2):
            decision = forwarded(decision).ticket.failed(Failure.RESET)
        last = forwarded(decision).ticket.failed(Failure.RESET)
        assert told(last)[:2] == (502, "upstream_reset")
        assert world.entry("smol").in_flight == 0


@virtual
@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (Failure.TIMEOUT, 504, "upstream_timeout"),
        (Failure.MALFORMED, 502, "bad_upstream_answer"),
    ],
)
async def test_what_may_have_been_done_is_never_sent_again(
    failure: Failure, status: int, code: str
) -> None:
    """Although another runner is ready; the endpoint does not rest for it."""
    async with World() as world:
        world.awake("ml/smol", A, B)
        sent = forwarded(world.chat("smol"))
        assert told(sent.ticket.failed(failure))[:2] == (status, code)
        assert sent.endpoint.rests_until == 0.0
        assert sent.endpoint.in_flight == world.entry("smol").in_flight == 0


@virtual
async def test_a_request_that_comes_back_keeps_its_place_and_its_time() -> None:
    """Ahead of those who came later, past the bound, and its hold_timeout is not begun anew."""
    async with World() as world:
        world.sleeping("ml/smol", max_held=2, timeout=10)
        first = held(world.chat("smol"))
        await asyncio.sleep(4)
        world.pods("ml/smol", starting=[A])
        world.runners.say(A, Readiness(ready=True, slots=1))
        await world.settled()
        sent = forwarded(first.decided.result())
        world.runners.say(A, None)
        world.rests.failed(sent.endpoint, world.loop.time())
        later = [held(world.chat("smol")) for _ in range(2)]
        again = held(sent.ticket.failed(Failure.UNREACHABLE))
        assert told(world.chat("smol"))[0] == 429
        await asyncio.sleep(3)
        world.runners.say(A, Readiness(ready=True, slots=1))
        await asyncio.sleep(0.2)
        order = [again, *later]
        assert [one.decided.done() for one in order] == [True, True, True]
        back = forwarded(again.decided.result())
        world.runners.say(A, None)
        last = held(back.ticket.failed(Failure.UNREACHABLE))
        await asyncio.sleep(3)
        assert told(last.decided.result())[0] == 503, "ten seconds after it first waited"


@virtual
async def test_only_waiting_counts_as_waiting() -> None:
    """A runner worked on it for long before it was lost: it may still wait as long as any other."""
    async with World() as world:
        world.sleeping("ml/smol", timeout=10)
        waiting = held(world.chat("smol"))
        await asyncio.sleep(4)
        world.pods("ml/smol", ready=[A])
        await world.settled()
        sent = forwarded(waiting.decided.result())
        await asyncio.sleep(100)
        world.pods("ml/smol", starting=[A])
        again = held(sent.ticket.failed(Failure.RESET))
        await asyncio.sleep(5.5)
        assert not again.decided.done()
        await asyncio.sleep(1)
        assert told(again.decided.result())[0] == 503
        assert world.ended[0].held == pytest.approx(10, abs=0.1)


@virtual
async def test_a_request_that_comes_back_goes_before_those_who_came_later() -> None:
    """Several of them in the order in which they came, whichever failed first."""
    async with World() as world:
        entry = world.awake("ml/smol", A)
        sent = []
        for _ in range(2):
            sent.append(forwarded(world.chat("smol")))
            await asyncio.sleep(0.1)
        world.runners.say(A, None)
        world.rests.failed(entry.ready[0], world.loop.time())
        later = [held(world.chat("smol")) for _ in range(3)]
        second = held(sent[1].ticket.failed(Failure.UNREACHABLE))
        first = held(sent[0].ticket.failed(Failure.UNREACHABLE))
        world.runners.say(A, Readiness(ready=True, slots=1))
        await asyncio.sleep(0.2)
        order = [first, second, *later]
        assert [one.decided.done() for one in order] == [True] * 3 + [False] * 2


@virtual
async def test_a_runner_that_only_says_that_it_is_ready_is_not_believed_for_ever() -> None:
    """It answers its probe and refuses requests: soon it rests as long as any other."""
    async with World() as world:
        world.awake("ml/smol", A, timeout=60)
        decision = world.chat("smol")
        sends = 0
        while True:
            if isinstance(decision, Forward):
                sends += 1
                decision = decision.ticket.failed(Failure.DRAINING)
                continue
            if decision.__class__.__name__ == "Answer":
                break
            decision = await held(decision).decided
        assert told(decision)[0] == 503
        assert 5 <= sends <= 15


@virtual
async def test_a_pod_that_is_not_ready_any_more_is_asked_before_it_is_used() -> None:
    """What it told us before it was ready, and not ready again, is out of date."""
    async with World() as world:
        world.sleeping("ml/smol")
        held(world.chat("smol"))
        world.pods("ml/smol", starting=[A])
        world.runners.say(A, READY)
        await world.settled()
        world.pods("ml/smol", ready=[A])
        assert host_of(world.chat("smol")) == A
        world.pods("ml/smol", starting=[A])
        world.runners.say(A, LOADING)
        held(world.chat("smol"))
