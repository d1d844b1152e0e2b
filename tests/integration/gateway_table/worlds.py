"""A table that is fed, and the objects that a test puts behind it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelrunner.domain.conditions import merge, ready
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.gateway.table.feed import TableFeed
from modelrunner.gateway.table.table import RouteTable
from modelrunner.kube.client import KubeClient
from modelrunner.kube.resources import MODELS
from modelrunner.kube.watch import WatchTimes
from modelrunner_protocol.reasons import Reason
from tests.support.kubeapi import KubeApi, Object
from tests.support.table_objects import endpoint_slice

API = "modelrunner.dev/v1alpha1"


@dataclass(frozen=True)
class World:
    """A table and its feed; `api` is the administrator's own way to the server."""

    api: KubeApi
    table: RouteTable
    feed: TableFeed
    client: KubeClient

    async def until(self, what: str, condition: Callable[[], Any], seconds: float = 60) -> None:
        """Wait for something that the table will show."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    if condition():
                        return
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{what}: {self.paths()}, {self.feed.trouble}") from None

    async def until_paths(self, *paths: str) -> None:
        """Wait until just these models are there."""
        await self.until(f"only {paths}", lambda: self.paths() == [*paths])

    async def find(self, name: str) -> ModelEntry:
        """Who answers to a name, as soon as somebody does."""
        await self.until(name, lambda: self.table.find(name))
        entry = self.table.find(name)
        assert entry is not None
        return entry

    def paths(self) -> list[str]:
        """All known models."""
        return [entry.path for entry in self.table.models()]

    def lists(self) -> int:
        """How often Models were listed."""
        return sum(one.counts.lists for one in self.feed.watches if one.resource == MODELS)

    def failures(self) -> int:
        """How often a watch failed."""
        return sum(one.counts.failures for one in self.feed.watches)

    def put_model(self, namespace: str, name: str, **spec: Any) -> Object:
        """Apply a Model as a user does."""
        source = {"http": {"url": "http://models.example.com/m.gguf"}}
        metadata = {"namespace": namespace, "name": name}
        body = {"apiVersion": API, "kind": "Model", "metadata": metadata}
        return self.api.apply({**body, "spec": {"source": source, **spec}})

    def put_status(self, namespace: str, name: str, status: Mapping[str, Any]) -> Object:
        """Write a Model's status as the operator does."""
        metadata = {"namespace": namespace, "name": name}
        body = {"apiVersion": API, "kind": "Model", "metadata": metadata, "status": dict(status)}
        return self.api.merge(body, subresource="status")

    def put_slice(self, path: str, *endpoints: Object, **options: Any) -> Object:
        """Apply an EndpointSlice by hand."""
        return self.api.apply(endpoint_slice(path, *endpoints, **options))


@asynccontextmanager
async def fed(
    api: KubeApi, kubeconfig: Path, *namespaces: str, **times: float
) -> AsyncIterator[World]:
    """A table that is in sync; `times` replace fields of WatchTimes."""
    async with await KubeClient.connected(kubeconfig=str(kubeconfig)) as client:
        table = RouteTable()
        feed = TableFeed(client, table, namespaces, times=WatchTimes(**times))
        task = asyncio.create_task(feed.run())
        try:
            async with asyncio.timeout(60):
                await feed.synced.wait()
            yield World(api, table, feed, client)
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def asleep() -> Object:
    """The conditions of a sleeping Model."""
    return {"conditions": merge((), [ready(Reason.SCALED_TO_ZERO, "")], generation=1, now=0)}


def hosts(entry: ModelEntry) -> tuple[list[object], list[object]]:
    """Addresses that are ready, and those that are starting."""
    return [one.address[0] for one in entry.ready], [one.address[0] for one in entry.starting]
