"""API keys follow their Secrets, on a real API server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from uuid import uuid4

import pytest
import yaml

from modelrunner.gateway.auth.command import main
from modelrunner.gateway.auth.feed import KeyFeed
from modelrunner.gateway.auth.key import LABEL
from modelrunner.gateway.auth.keyring import KeyRing
from modelrunner.kube.client import KubeClient
from modelrunner.kube.resources import NAMESPACES, SECRETS
from tests.cluster.control_plane import ControlPlane
from tests.cluster.waiting import wait_until
from tests.support.kubeapi import Object

pytestmark = pytest.mark.control_plane


@dataclass
class World:
    """A key ring that follows a namespace, and what an administrator does there."""

    client: KubeClient
    namespace: str
    ring: KeyRing = field(default_factory=KeyRing)

    async def make(self, name: str, *words: str) -> bytes:
        """`modelrunner api-key … | kubectl apply`; gives the key."""
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            assert main(["--name", name, "--namespace", self.namespace, *words]) == 0
        await self.apply(yaml.safe_load(out.getvalue()))
        return err.getvalue().strip().encode()

    async def apply(self, secret: Object) -> None:
        """Create or change a Secret."""
        name = secret["metadata"]["name"]
        await self.client.apply(SECRETS, self.namespace, name, secret, field_manager="tests")

    async def delete(self, name: str) -> None:
        """Revoke a key."""
        await self.client.delete(SECRETS, self.namespace, name, propagation="Background")

    def opens(self, key: bytes) -> str:
        """The name of the key that this opens, "" for none."""
        found = self.ring.find(key)
        return found.name if found else ""


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a watch to bring something about."""
    await asyncio.to_thread(wait_until, "the watch's event", condition)


@pytest.fixture
async def world(control_plane: ControlPlane) -> AsyncIterator[World]:
    """A fresh namespace, with nobody following it yet."""
    async with await KubeClient.connected(kubeconfig=str(control_plane.kubeconfig)) as client:
        name = f"keys-{uuid4().hex[:10]}"
        await client.create(NAMESPACES, None, {"metadata": {"name": name}}, field_manager="tests")
        yield World(client, name)
    # The socket of a TLS stream that was cut closes in the loop's next turn.
    await asyncio.sleep(0)


async def test_keys_come_change_and_go(world: World) -> None:
    """What is there is known at once; what is made, changed or revoked counts after its event."""
    first = await world.make("first")
    feed = KeyFeed(world.client, world.namespace, world.ring)
    assert world.opens(first) == ""
    async with asyncio.TaskGroup() as group:
        run = group.create_task(feed.run())
        await feed.synced.wait()
        assert world.opens(first) == "first"
        assert feed.age is not None
        assert feed.trouble == ""

        second = await world.make("second", "--models", "a/*")
        await until(lambda: world.opens(second) == "second")

        renewed = await world.make("second", "--models", "b/*")
        await until(lambda: world.opens(renewed) == "second")
        assert world.opens(second) == ""

        await world.delete("first")
        await until(lambda: world.opens(first) == "")
        assert world.opens(renewed) == "second"
        run.cancel()


async def test_only_labelled_secrets_are_keys(world: World) -> None:
    """A Secret that loses its label is revoked; one with another value of it never was a key."""
    key = await world.make("labelled")
    body = await world.client.get(SECRETS, world.namespace, "labelled")
    assert body is not None
    twin: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "twin", "namespace": world.namespace, "labels": {LABEL: "false"}},
        "data": body["data"],
    }
    await world.apply(twin)
    feed = KeyFeed(world.client, world.namespace, world.ring)
    async with asyncio.TaskGroup() as group:
        run = group.create_task(feed.run())
        await feed.synced.wait()
        assert len(world.ring) == 1
        assert world.ring.problems() == {}
        unlabelled = [{"op": "replace", "path": "/metadata/labels", "value": {}}]
        await world.client.json_patch(
            SECRETS, world.namespace, "labelled", unlabelled, field_manager="tests"
        )
        await until(lambda: world.opens(key) == "")
        run.cancel()


async def test_a_secret_that_is_broken_by_an_edit(world: World) -> None:
    """Its key is refused from the event on, and the ring says why; the others go on."""
    key, other = await world.make("one", "--requests-per-minute", "5"), await world.make("two")
    feed = KeyFeed(world.client, world.namespace, world.ring)
    async with asyncio.TaskGroup() as group:
        run = group.create_task(feed.run())
        await feed.synced.wait()
        broken = [{"op": "replace", "path": "/data/requestsPerMinute", "value": "bm8="}]
        await world.client.json_patch(
            SECRETS, world.namespace, "one", broken, field_manager="tests"
        )
        await until(lambda: "one" in world.ring.problems())
        assert world.opens(key) == ""
        assert world.opens(other) == "two"
        run.cancel()
