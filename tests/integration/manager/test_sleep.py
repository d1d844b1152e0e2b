"""The real operator process puts a model to sleep, and dies while it does so."""

import asyncio
import random
import signal
import time

import pytest

from modelrunner_protocol.wire import PORT
from tests.cluster.waiting import wait_until
from tests.integration.manager.worlds import API, LEASE
from tests.support.door_runners import DoorRunner, door_runners
from tests.support.hand_kubelet import HandKubelet
from tests.support.kubeapi import KubeApi
from tests.support.operators import Operator

pytestmark = pytest.mark.control_plane


def create(api: KubeApi, namespace: str) -> None:
    """A Model that may sleep a second after its last request."""
    model = {
        "source": {"http": {"url": "http://files.test/a.gguf"}},
        "keepAlive": "1s",
    }
    for kind, name, spec in (("ModelRunner", "default", {}), ("Model", "m", model)):
        meta = {"name": name, "namespace": namespace}
        api.create({"apiVersion": API, "kind": kind, "metadata": meta, "spec": spec})


def replicas(api: KubeApi, namespace: str) -> int | None:
    """What the Deployment wants; None without one."""
    found = api.get("apps/v1", "Deployment", "m", namespace)
    return None if found is None else int(found["spec"]["replicas"])


def asleep(api: KubeApi, namespace: str) -> bool:
    """Whether the Model says so."""
    found = api.get(API, "Model", "m", namespace) or {}
    return bool(found.get("status", {}).get("phase") == "Idle")


async def until_closing(
    api: KubeApi, namespace: str, operator: Operator, runner: DoorRunner
) -> None:
    """Play the kubelet until the operator, which dies of it, has asked the runner to close.

    Its lease would run out by itself, which is another test's matter: it goes at once.
    """
    kubelet = HandKubelet(api, namespace, runner.address)

    def killed() -> bool:
        kubelet.turn()
        return bool(runner.closings)

    await asyncio.to_thread(operator.start, "operator", module="modelrunner")
    await asyncio.to_thread(wait_until, "the closing of a door", killed, seconds=180)
    assert await asyncio.to_thread(operator.end) == -signal.SIGKILL
    api.delete(*LEASE, namespace)


async def test_killed_between_the_closing_and_the_scaling(
    api: KubeApi, namespace: str, operator: Operator, another: Operator
) -> None:
    """Nothing has been taken away; the successor looks anew, and puts the model to sleep."""
    address = f"127.{random.randint(10, 250)}.{random.randint(1, 250)}.1"
    async with door_runners(PORT) as doors:
        runner = await doors.add(
            address, warmed_at=time.time() - 500, last_used_at=time.time() - 400
        )

        async def kill() -> None:
            operator.signal(signal.SIGKILL)

        runner.knock = kill
        create(api, namespace)
        await until_closing(api, namespace, operator, runner)
        assert replicas(api, namespace) == 1
        assert runner.closed
        runner.open()
        runner.knock = _nobody

        await asyncio.to_thread(another.start, "operator", module="modelrunner")
        await asyncio.to_thread(another.wait, "the Model asleep", lambda: asleep(api, namespace))
        assert replicas(api, namespace) == 0
        assert len(runner.closings) >= 2


async def _nobody() -> None:
    """Nobody comes."""
