"""Requests for a sleeping model, through the real front, to a real API server and back."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest

from modelrunner.domain.conditions import not_ready, stalled
from modelrunner_protocol.reasons import Reason
from tests.integration.gateway_hold.worlds import AWAKE, Pod, World
from tests.support.table_objects import endpoint

pytestmark = pytest.mark.control_plane

Pods = Callable[..., Awaitable[Pod]]


async def test_a_hundred_clients_at_zero_cause_one_wake_and_all_are_served(
    world: World, pods: Pods, pod_address: str
) -> None:
    """In order of arrival, at the runner's concurrency, before the API server calls it ready."""
    world.put_model()
    world.put_deployment()
    await world.entry()
    clients = []
    for number in range(100):
        clients.append(world.ask(user=number))
        await world.until_held(number + 1)
    await world.until("scaled", lambda: world.replicas() == 1)
    pod = await pods(pod_address, slots=4)
    world.put_pod(pod_address, pod.port, is_ready=False)
    await world.until("reports", lambda: pod.held == [] and world.holds.held == 100)
    pod.become(is_ready=True)
    await world.until("the first ones", lambda: pod.working == 6)
    await world.until("a report", lambda: pod.held and pod.held[-1] == 94)
    assert world.holds.held == 94
    pod.go.set()
    answers = await asyncio.gather(*clients)
    assert [status for status, _, _ in answers] == [200] * 100
    assert pod.most <= 6
    assert sorted(pod.users) == list(range(100))
    # Several at once are in flight, so a client can be overtaken on the wire, never in the line.
    assert all(abs(place - user) < 12 for place, user in enumerate(pod.users))
    assert all(float(headers["X-Model-Cold-Start"]) > 0 for _, headers, _ in answers)
    assert world.attempts["woken"] == 1
    meter = world.meters.models[await world.entry()]
    assert (meter.wakes, meter.held, meter.hold.counts[-1]) == ({"ready": 1}, 0, 0)
    world.put_pod(pod_address, pod.port)
    status, headers, _ = await world.chat()
    assert status == 200
    assert "X-Model-Cold-Start" not in headers


async def test_the_client_that_caused_the_wake_leaves_and_the_next_one_profits(
    world: World, pods: Pods, pod_address: str
) -> None:
    """Its place is free at once; the wake is not begun again."""
    world.put_model(maxHeld=1)
    world.put_deployment()
    await world.entry()
    first = world.ask()
    await world.until_held(1)
    status, headers, body = await world.chat()
    assert (status, body["error"]["code"]) == (429, "queue_full")
    assert int(headers["Retry-After"]) >= 1
    first.cancel()
    await world.until_held(0)
    await world.until("scaled", lambda: world.replicas() == 1)
    second = world.ask()
    await world.until_held(1)
    pod = await pods(pod_address, ready=True)
    pod.go.set()
    world.put_pod(pod_address, pod.port, is_ready=False)
    assert (await second)[0] == 200
    assert world.attempts["woken"] == 1
    assert (await world.entry()).in_flight == 0


async def test_a_runner_that_never_becomes_ready_is_told(
    world: World, pods: Pods, pod_address: str
) -> None:
    """After the Model's timeout: 503, when to ask again, and what the runner said."""
    starting = not_ready(Reason.STARTING, "pod smol-1 is starting")
    world.put_model(starting, phase="Starting")
    pod = await pods(pod_address)
    world.put_pod(pod_address, pod.port, is_ready=False)
    entry = await world.entry()
    await world.until("the pod", lambda: entry.starting)
    first = world.ask()
    await world.until("its words", lambda: pod.looks >= 2)
    await world.impatient(starting, phase="Starting")
    status, headers, body = await world.chat()
    first.cancel()
    assert (status, body["error"]["code"]) == (503, "model_not_ready")
    assert int(headers["Retry-After"]) >= 1
    told = "Starting: pod smol-1 is starting; its runner is starting (it reads its weights)"
    # As long as it was in the end: a busy machine is late.
    assert re.search(rf"within [\d.]+ s: {re.escape(told)}\.", body["error"]["message"])


async def test_a_stream_is_kept_alive_and_ends_in_an_event(world: World) -> None:
    """Every two seconds the client hears that something happens, then why nothing will."""
    world.put_model()
    await world.entry()
    first = world.ask()
    await world.until("a try", lambda: world.attempts["missing"])
    await world.impatient(seconds=4)
    asked = {"model": f"{world.namespace}/smol", "messages": [], "stream": True}
    async with world.client.post("/v1/chat/completions", json=asked) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        raw = await answer.read()
    first.cancel()
    assert re.match(rb"(: waking\n\n)+data: \{", raw)
    assert b"it has no Deployment yet" in raw
    assert b"[DONE]" not in raw


async def test_a_model_that_is_deleted_while_requests_wait_is_404(world: World) -> None:
    """For all of them, in the moment it goes."""
    world.put_model()
    await world.entry()
    clients = [world.ask() for _ in range(3)]
    await world.until_held(3)
    world.api.delete("modelrunner.dev/v1alpha1", "Model", "smol", world.namespace)
    for status, _, body in await asyncio.gather(*clients):
        assert (status, body["error"]["code"]) == (404, "model_not_found")
    await world.until("nothing left", lambda: not world.holds.queues)


async def test_a_model_that_cannot_start_is_told_at_once(world: World) -> None:
    """To those who wait when it becomes known, and to those who come later; with its own words."""
    world.put_model()
    world.put_deployment()
    await world.entry()
    first = world.ask()
    await world.until_held(1)
    told = (Reason.UNSCHEDULABLE, "no node has nvidia.com/gpu: add one")
    world.put_model(not_ready(*told), stalled(*told), phase="Failed")
    for status, headers, body in (await first, await world.chat()):
        assert (status, body["error"]["code"]) == (503, "Unschedulable")
        assert body["error"]["message"].endswith("no node has nvidia.com/gpu: add one")
        assert int(headers["Retry-After"]) >= 1
        assert headers["x-should-retry"] == "false"


async def test_what_somebody_else_scaled_is_not_touched(world: World) -> None:
    """The patch is guarded: a Deployment that is not at 0 stays as it is."""
    world.put_model()
    world.put_deployment(replicas=3)
    await world.entry()
    first = world.ask()
    await world.until("a try", lambda: world.attempts["awake"])
    await world.impatient()
    status, _, _ = await world.chat()
    first.cancel()
    assert status == 503
    assert world.replicas() == 3
    assert set(world.attempts) == {"awake"}


async def test_an_endpoint_that_goes_before_we_connect_is_passed_over(
    world: World, pods: Pods, pod_addresses: Callable[[], str]
) -> None:
    """With another one ready: nobody waits. Alone: the request waits, and wakes the model."""
    first, second, third = (pod_addresses() for _ in range(3))
    pod = await pods(second, ready=True)
    pod.go.set()
    world.put_model(AWAKE, phase="Ready")
    world.put_deployment()
    # Nothing listens at the first one.
    world.put_pods(pod.port, *(endpoint(one, pod=one) for one in (first, second)))
    entry = await world.entry()
    await world.until("both", lambda: len(entry.ready) == 2)
    answers = await asyncio.gather(*(world.chat() for _ in range(10)))
    assert {status for status, _, _ in answers} == {200}
    await pod.end()
    waiting = world.ask()
    await world.until_held(1)
    world.put_pods(pod.port)
    await world.until("scaled", lambda: world.replicas() == 1)
    again = await pods(third, ready=True, port=pod.port)
    again.go.set()
    world.put_pod(third, again.port)
    assert (await waiting)[0] == 200
