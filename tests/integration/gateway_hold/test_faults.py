"""Holding while the API server is away or says no, and races for a door that closes."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelrunner_protocol.codec import from_dict, to_dict
from modelrunner_protocol.runner import (
    CLOSE_PATH,
    HELD_PATH,
    OPEN_PATH,
    Closing,
    HeldReport,
    RunnerStatus,
)
from tests.cluster.control_plane import ControlPlane
from tests.integration.gateway_hold.worlds import AWAKE, Pod, World, gateway
from tests.support.accounts import as_account, kubeconfig_of
from tests.support.kubeapi import KubeApi
from tests.support.scripted_runner import CONFIG, Served, running
from tests.support.wire import Wire

pytestmark = pytest.mark.control_plane

Pods = Callable[..., Awaitable[Pod]]


async def test_requests_wait_through_an_outage_of_the_api_server(
    api: KubeApi, namespace: str, wire: Wire, wired: Path, pods: Pods, pod_address: str
) -> None:
    """They are held, the wake follows when the server is back, and all are answered."""
    async with gateway(api, wired, namespace) as world:
        world.put_model()
        world.put_deployment()
        await world.entry()
        wire.cut()
        clients = [world.ask() for _ in range(5)]
        await world.until_held(5)
        await world.until("two tries", lambda: world.attempts["unreachable"] >= 2)
        assert world.replicas() == 0
        wire.mend()
        await world.until("scaled", lambda: world.replicas() == 1)
        pod = await pods(pod_address, ready=True)
        pod.go.set()
        world.put_pod(pod_address, pod.port, is_ready=False)
        answers = await asyncio.gather(*clients)
        assert [status for status, _, _ in answers] == [200] * 5
        assert world.attempts["woken"] == 1


async def test_an_outage_is_told_to_those_whose_time_is_over(
    api: KubeApi, namespace: str, wire: Wire, wired: Path
) -> None:
    """The 503 says that the API server could not be asked."""
    async with gateway(api, wired, namespace) as world:
        world.put_model()
        await world.entry()
        first = world.ask()
        await world.until_held(1)
        await world.impatient()
        wire.cut()
        await world.until("a try in vain", lambda: world.attempts["unreachable"])
        status, _, body = await world.chat()
        first.cancel()
        assert status == 503
        assert "could not be woken: the API server did not do it:" in body["error"]["message"]
        wire.mend()


async def test_a_model_that_is_awake_serves_while_the_api_server_is_away(
    api: KubeApi, namespace: str, wire: Wire, wired: Path, pods: Pods, pod_address: str
) -> None:
    """Routing asks nobody."""
    async with gateway(api, wired, namespace) as world:
        world.put_model(AWAKE, phase="Ready")
        pod = await pods(pod_address, ready=True)
        pod.go.set()
        world.put_pod(pod_address, pod.port)
        entry = await world.entry()
        await world.until("the pod", lambda: entry.ready)
        wire.cut()
        answers = await asyncio.gather(*(world.chat() for _ in range(20)))
        assert {status for status, _, _ in answers} == {200}
        wire.mend()


async def test_a_gateway_without_rights_says_so(
    control_plane: ControlPlane, api: KubeApi, namespace: str, tmp_path: Path
) -> None:
    """RBAC refuses the wake: the 503 carries the API server's words, and nothing is scaled."""
    account = {"name": "powerless", "namespace": namespace}
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    with as_account(control_plane, api, namespace, "powerless"):
        file = kubeconfig_of(control_plane, api, namespace, "powerless", tmp_path / "powerless")
    async with gateway(api, control_plane.kubeconfig, namespace, scaler=file) as world:
        # Of the first one's patience is the wake's end, which the API server has to answer before.
        world.put_model(timeoutSeconds=12)
        world.put_deployment()
        entry = await world.entry()
        first = world.ask()
        await world.until("a try in vain", lambda: world.attempts["refused"])
        await world.impatient()
        status, headers, body = await world.chat()
        first.cancel()
        assert (status, body["error"]["code"]) == (503, "model_not_ready")
        assert "could not be woken: the API server refused it:" in body["error"]["message"]
        assert 'cannot patch resource "deployments/scale"' in body["error"]["message"]
        assert int(headers["Retry-After"]) >= 1
        assert world.replicas() == 0
        assert set(world.attempts) == {"refused"}
        await world.until("its end", lambda: world.meters.models[entry].wakes)
        assert world.meters.models[entry].wakes == {"refused": 1}


async def _close(served: Served, **fields: Any) -> int:
    """Ask a runner to close its door; the status of its answer."""
    body = to_dict(Closing(**fields))
    async with served.client.post(CLOSE_PATH, json=body) as answer:
        return answer.status


async def _open(served: Served) -> None:
    async with served.client.post(OPEN_PATH) as answer:
        assert answer.status == 200


async def _forget(served: Served) -> None:
    """As a second after the last request waited: till then a door is not closed."""
    body = to_dict(HeldReport(gateway="gateway-1", held=0))
    async with served.client.post(HELD_PATH, json=body) as answer:
        assert answer.status == 204


async def test_whoever_meets_a_closed_door_waits_until_it_opens(
    world: World, pod_address: str, tmp_path: Path
) -> None:
    """The operator closed it and thought better of it; nobody hears of it."""
    config = replace(CONFIG, namespace=world.namespace)
    async with running(tmp_path, config=config) as served:
        world.put_model(AWAKE, phase="Ready")
        world.put_pod(pod_address, served.port)
        entry = await world.entry()
        await world.until("the pod", lambda: entry.ready)
        assert (await world.chat(script="echo"))[0] == 200
        assert await _close(served, drain=True) == 200
        clients = [world.ask(script="echo") for _ in range(5)]
        await world.until_held(5)
        assert entry.ready[0].in_flight == 0
        await _open(served)
        for status, headers, _ in await asyncio.gather(*clients):
            assert status == 200
            assert "X-Model-Cold-Start" not in headers
        assert not world.attempts


async def test_whoever_meets_a_closed_door_wakes_the_model_again(
    world: World, pods: Pods, pod_addresses: Callable[[], str], tmp_path: Path
) -> None:
    """The operator scaled it to zero behind the door: the request is served by the next pod."""
    first, second = pod_addresses(), pod_addresses()
    config = replace(CONFIG, namespace=world.namespace)
    async with running(tmp_path, config=config) as served:
        world.put_model(AWAKE, phase="Ready")
        world.put_deployment(replicas=1)
        world.put_pod(first, served.port)
        entry = await world.entry()
        await world.until("the pod", lambda: entry.ready)
        assert await _close(served) == 200
        waiting = world.ask()
        await world.until_held(1)
        world.scale(0)
        world.put_pods(served.port)
        await world.until("scaled again", lambda: world.replicas() == 1)
        pod = await pods(second, ready=True)
        pod.go.set()
        world.put_pod(second, pod.port, is_ready=False)
        status, headers, _ = await waiting
        assert status == 200
        assert float(headers["X-Model-Cold-Start"]) > 0
        assert world.attempts["woken"] == 1


async def test_no_request_is_lost_to_a_door_that_closes_and_opens(
    world: World, pod_address: str, tmp_path: Path
) -> None:
    """Requests race the operator's closing a thousand times: each is answered with 200."""
    config = replace(CONFIG, namespace=world.namespace)
    async with running(tmp_path, config=config) as served:
        world.put_model(AWAKE, phase="Ready")
        world.put_pod(pod_address, served.port)
        entry = await world.entry()
        await world.until("the pod", lambda: entry.ready)
        closed = {True: 0, False: 0}
        for turn in range(1000):
            drain = turn % 2 == 0
            await _forget(served)
            seen = from_dict(RunnerStatus, await served.status()).last_used_at
            asked = None if turn % 4 < 2 else world.ask(script="echo")
            # Some turns of the loop: the one is before, within or behind the other's way.
            for _ in range(turn // 4 % 20 if asked else 0):
                await asyncio.sleep(0)
            closing = asyncio.create_task(_close(served, drain=drain, last_used_at=seen))
            for _ in range(0 if asked else turn // 4 % 10):
                await asyncio.sleep(0)
            asked = asked or world.ask(script="echo")
            closed[drain] += await closing == 200
            await _open(served)
            status, _, body = await asked
            assert status == 200, body
        met = sum(world.meters.models[entry].hold.counts)
        assert met >= 50, "without a race nothing is proved"
        assert 50 <= closed[False] <= 450, "the door must close, and must be too late"
        assert entry.in_flight == entry.ready[0].in_flight == 0
