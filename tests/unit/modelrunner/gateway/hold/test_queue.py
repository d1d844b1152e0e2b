"""Who waits, who goes when, and what is told to whom; in virtual time."""

import asyncio

import pytest

from modelrunner.gateway.hold.runners import Readiness
from modelrunner.gateway.hold.scaling import Attempt, Tried
from modelrunner.gateway.messages import Failure, Forward, Outcome
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
async def test_a_stalled_model_that_still_has_a_ready_runner_serves() -> None:
    """What is wrong with the next pods does not touch those that serve."""
    async with World() as world:
        world.failing("ml/smol", "Unschedulable", "no node fits", replicas=2)
        world.pods("ml/smol", ready=[A])
        assert host_of(world.chat("smol")) == A


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
        assert header(waiting.decided.result(), b"retry-after") == b"2"
        assert told(world.chat("smol"))[:2] == (503, "shutting_down")
        await world.settled()
        assert len(asyncio.all_tasks()) == 1


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
