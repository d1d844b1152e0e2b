"""Who waits, who goes when, and what is told to whom; in virtual time."""

import asyncio

from modelrunner.gateway.hold.runners import Readiness
from modelrunner.gateway.messages import Failure
from tests.support.gateway_world import (
    LOADING,
    READY,
    World,
    answered,
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
async def test_who_comes_while_others_wait_waits_behind_them() -> None:
    """A newcomer does not overtake, although the runner just became ready."""
    async with World() as world:
        world.sleeping("ml/smol")
        first = held(world.chat("smol"))
        world.pods("ml/smol", ready=[A])
        second = held(world.chat("smol"))
        world.runners.say(A, READY)
        await world.settled()
        assert host_of(first.decided.result()) == host_of(second.decided.result()) == A
        assert host_of(world.chat("smol")) == A


@virtual
async def test_a_full_queue_refuses_newcomers_with_429() -> None:
    """And says when to come again; a place that is given up is taken by the next."""
    async with World() as world:
        world.sleeping("ml/smol", max_held=2)
        waiting = [held(world.chat("smol")) for _ in range(2)]
        full = world.chat("smol")
        assert told(full)[:2] == (429, "queue_full")
        assert header(full, b"retry-after") == b"2"
        waiting[0].leave()
        held(world.chat("smol"))
        assert told(world.chat("smol"))[0] == 429
        assert world.holds.held == 2


@virtual
async def test_held_bytes_are_bound_for_all_models_together() -> None:
    """A body that does not fit any more gets 503, also for a model that nobody waits for."""
    async with World(max_bytes=20_000) as world:
        world.sleeping("ml/a")
        world.sleeping("ml/b")
        held(world.chat("a", user="x" * 15_000))
        full = world.chat("b", user="x" * 5_000)
        assert told(full)[:2] == (503, "too_much_held")
        assert header(full, b"retry-after") == b"2"
        held(world.chat("b"))


@virtual
async def test_the_wait_ends_with_503_and_what_the_model_did() -> None:
    """After the model's hold_timeout, counted from each request's arrival."""
    async with World() as world:
        world.put(
            "ml/smol",
            "Starting",
            condition("Ready", "False", "Starting", "pod smol-1 pulls its image"),
            timeout=10,
        )
        world.pods("ml/smol", starting=[A])
        world.runners.say(A, LOADING)
        first = held(world.chat("smol"))
        await asyncio.sleep(4)
        second = held(world.chat("smol"))
        await asyncio.sleep(6.1)
        status, code, message = told(first.decided.result())
        assert (status, code) == (503, "model_not_ready")
        assert message == (
            "The model ml/smol could not take this request within 10 s: Starting: pod smol-1 pulls "
            "its image; its runner is starting (the model is being loaded). "
            "It may be ready later: try again"
        )
        assert header(first.decided.result(), b"retry-after") == b"10"
        assert not second.decided.done()
        await asyncio.sleep(4)
        assert told(second.decided.result())[0] == 503
        assert not world.scaler.calls


@virtual
async def test_a_front_that_is_cancelled_leaves_by_itself() -> None:
    """Cancelling a task that awaits the decision frees the place."""
    async with World() as world:
        world.sleeping("ml/smol")
        waiting = held(world.chat("smol"))

        async def wait() -> None:
            await waiting.decided

        task = asyncio.create_task(wait())
        await world.settled()
        task.cancel()
        await world.settled()
        assert world.holds.held == 0
        waiting.leave()
        assert world.entry("smol").in_flight == 0
        assert [exchange.outcome for exchange in world.ended] == ["client_left"]


@virtual
async def test_who_leaves_in_the_moment_of_the_decision_is_not_counted_for_ever() -> None:
    """The decision stands, nobody follows it: leaving undoes it, once."""
    async with World() as world:
        world.sleeping("ml/smol")
        waiting = held(world.chat("smol"))
        world.pods("ml/smol", ready=[A])
        await world.settled()
        forward = forwarded(waiting.decided.result())
        assert forward.endpoint.in_flight == 1
        waiting.leave()
        waiting.leave()
        assert forward.endpoint.in_flight == world.entry("smol").in_flight == 0
        assert len(world.ended) == 1


@virtual
async def test_leaving_after_a_refusal_changes_nothing() -> None:
    """An answer needs no undoing."""
    async with World() as world:
        world.sleeping("ml/smol", timeout=1)
        waiting = held(world.chat("smol"))
        await asyncio.sleep(1.1)
        waiting.leave()
        assert len(world.ended) == 1
        assert world.ended[0].status == 503


@virtual
async def test_a_model_that_is_deleted_answers_404_to_all_who_wait() -> None:
    """And to those that an endpoint sends back after that; nothing is left behind."""
    async with World() as world:
        entry = world.awake("ml/smol", A)
        sent = forwarded(world.chat("smol"))
        world.rests.failed(entry.ready[0], world.loop.time())
        world.runners.say(A, None)
        waiting = held(world.chat("smol"))
        world.delete("ml/smol")
        await world.settled()
        status, code, message = told(waiting.decided.result())
        assert (status, code, message) == (404, "model_not_found", "The model ml/smol was deleted")
        assert told(sent.ticket.failed(Failure.RESET))[:2] == (404, "model_not_found")
        await world.settled()
        assert not world.holds.queues
        assert world.runners.asking == 0
        assert entry.in_flight == 0


@virtual
async def test_the_operator_hears_of_those_who_wait() -> None:
    """Once a second, through one runner that is up, while there are any; then that none does."""
    async with World() as world:
        world.awake("ml/smol", A)
        world.runners.say(A, Readiness(ready=True, slots=1))
        entry = world.entry("smol")
        world.rests.failed(entry.ready[0], world.loop.time())
        waiting = [held(world.chat("smol")) for _ in range(5)]
        await asyncio.sleep(3.5)
        assert [one.decided.done() for one in waiting] == [True] * 3 + [False] * 2
        assert world.runners.reports[1:] == [(A, 2)] * (len(world.runners.reports) - 1)
        assert 3 <= len(world.runners.reports) <= 5
        before = len(world.runners.reports)
        for one in waiting[3:]:
            one.leave()
        await asyncio.sleep(10)
        assert world.runners.reports[before:] == [(A, 0)]


@virtual
async def test_streams_are_kept_alive_in_their_dialect() -> None:
    """What the front needs for heartbeats and for an error within the stream."""
    async with World() as world:
        world.sleeping("ml/smol", timeout=3)
        openai = held(world.chat("smol", stream=True))
        assert (openai.stream, openai.heartbeat) == (True, b": waking\n\n")
        assert (openai.patience, openai.interval) == (2.0, 10.0)
        anthropic = held(world.post("/v1/messages", {"model": "smol", "stream": True}))
        assert anthropic.heartbeat == b'event: ping\ndata: {"type": "ping"}\n\n'
        plain = held(world.chat("smol"))
        assert not plain.stream
        await asyncio.sleep(3.1)
        answer = anthropic.decided.result()
        status, body = answered(answer)
        assert (status, body["error"]["type"]) == (503, "overloaded_error")
        event = anthropic.event(status, b"broken")
        assert event.startswith(b'event: error\ndata: {"type": "error", "error": {"type": "over')


@virtual
async def test_the_end_of_the_process_answers_all() -> None:
    """503 and when to come again, also for whoever comes after that; no task is left."""
    async with World() as world:
        world.sleeping("ml/smol")
        waiting = held(world.chat("smol"))
        await asyncio.sleep(1)
        world.holds.give_up()
        assert told(waiting.decided.result())[:2] == (503, "shutting_down")
        assert header(waiting.decided.result(), b"retry-after") == b"1"
        assert told(world.chat("smol"))[:2] == (503, "shutting_down")
        await world.settled()
        assert len(asyncio.all_tasks()) == 1
