"""Kinds that come and go."""

import asyncio

import pytest

from modelrunner.kube.errors import Unavailable
from modelrunner.kube.resources import MODEL_RUNNERS, MODELS, SERVICE_MONITORS, Resource
from modelrunner.manager.discovery import Discovery, wait_served
from tests.support.virtual_time import run
from tests.unit.modelrunner.kube.fake_client import FakeClient


class Kinds(FakeClient):
    """A server that serves the kinds in `served`."""

    def __init__(self) -> None:
        super().__init__()
        self.served: set[Resource] = set()

    async def has(self, resource: Resource) -> bool:
        """Whether it is among them."""
        self._asked("has", resource.plural)
        return resource in self.served


def test_a_kind_that_appears_or_goes_is_noticed_once() -> None:
    """Not at the first look, and not by an outage."""

    async def scenario() -> list[float]:
        client = Kinds()
        loop = asyncio.get_running_loop()
        start = loop.time()
        changes: list[float] = []
        discovery = Discovery(
            client,
            SERVICE_MONITORS,
            changed=lambda: changes.append(loop.time() - start),
            period=60,
        )
        task = asyncio.create_task(discovery.run())
        await asyncio.sleep(90)
        client.served.add(SERVICE_MONITORS)
        await asyncio.sleep(60)
        client.failing = Unavailable(0, "Unreachable", "no")
        await asyncio.sleep(120)
        client.failing = None
        client.served.clear()
        await asyncio.sleep(300)
        task.cancel()
        return changes

    assert run(scenario()) == pytest.approx([120, 300])


def test_the_leader_waits_for_its_own_kinds_and_says_what_is_missing() -> None:
    """An operator installed before its CRDs starts to work once they are there."""

    async def scenario() -> list[str]:
        client = Kinds()
        said: list[str] = []
        client.failing = Unavailable(0, "Unreachable", "no answer")
        task = asyncio.create_task(
            wait_served(client, (MODELS, MODEL_RUNNERS), waiting=said.append)
        )
        await asyncio.sleep(7)
        client.failing = None
        client.served.add(MODELS)
        await asyncio.sleep(5)
        assert not task.done()
        client.served.add(MODEL_RUNNERS)
        await task
        return said

    said = run(scenario())
    assert "no answer" in said[0]
    assert said[-2] == "not served, install the CRDs: modelrunners.modelrunner.dev"
    assert said[-1] == ""
