"""The feed: which collections are watched, and how its state follows from theirs."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from modelrunner.gateway.table.feed import TableFeed
from modelrunner.gateway.table.table import RouteTable
from modelrunner.kube.client import KubeClient, Snapshot
from modelrunner.kube.errors import Unavailable
from modelrunner.kube.objects import KubeObject
from modelrunner.kube.resources import ENDPOINT_SLICES, MODELS, Resource
from tests.support.table_objects import endpoint, endpoint_slice, model
from tests.support.virtual_time import run

_SELECTOR = "app.kubernetes.io/managed-by=model-runner-operator"


class ListingClient(KubeClient):
    """Lists from `objects`; streams are silent. A resource in `missing` cannot be listed."""

    def __init__(self, *objects: KubeObject) -> None:
        self.objects = objects
        self.asked: set[tuple[str, str | None, str]] = set()
        self.missing: set[Resource] = set()

    async def snapshot(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
    ) -> Snapshot:
        """All objects of that kind and namespace."""
        self.asked.add((resource.plural, namespace, label_selector))
        if resource in self.missing:
            raise Unavailable(503, "Unavailable", f"no {resource.plural}")
        found = [
            item
            for item in self.objects
            if item["kind"] == resource.kind and namespace in {None, item["metadata"]["namespace"]}
        ]
        return Snapshot(found, "1")

    @asynccontextmanager
    async def watch(
        self, *_: Any, **__: Any
    ) -> AsyncIterator[AsyncIterator[tuple[str, KubeObject]]]:
        """Nothing happens."""
        yield self._silence()

    async def _silence(self) -> AsyncIterator[tuple[str, KubeObject]]:
        await asyncio.sleep(1e9)
        yield "BOOKMARK", {}


async def fed(
    client: ListingClient, namespaces: Sequence[str] = ()
) -> tuple[TableFeed, RouteTable, asyncio.Task[None]]:
    """A feed that has run for a second."""
    table = RouteTable()
    feed = TableFeed(client, table, namespaces)
    task = asyncio.create_task(feed.run())
    await asyncio.sleep(1)
    return feed, table, task


def test_models_and_our_slices_are_watched() -> None:
    """In all namespaces, the slices by the label that the Service gives them."""
    client = ListingClient(model("ml/a"), endpoint_slice("ml/a", endpoint("198.18.0.1")))

    async def scenario() -> None:
        feed, table, task = await fed(client)
        assert client.asked == {("models", None, ""), ("endpointslices", None, _SELECTOR)}
        assert feed.synced.is_set()
        assert feed.age == 1
        assert feed.trouble == ""
        (entry,) = table.models()
        assert [one.address for one in entry.ready] == [("198.18.0.1", 8080)]
        task.cancel()

    run(scenario())


def test_each_of_several_namespaces_is_watched_by_itself() -> None:
    """Rights may end at their borders, and one list must not empty the others."""
    client = ListingClient(model("ml/a"), model("web/b"), model("other/c"))

    async def scenario() -> None:
        _, table, task = await fed(client, ["ml", "web"])
        assert {namespace for _, namespace, _ in client.asked} == {"ml", "web"}
        assert [entry.path for entry in table.models()] == ["ml/a", "web/b"]
        task.cancel()

    run(scenario())


def test_it_is_in_sync_when_everything_was_listed() -> None:
    """Not before: a model without its slices would look asleep."""
    client = ListingClient(model("ml/a"))
    client.missing = {ENDPOINT_SLICES}

    async def scenario() -> None:
        feed, table, task = await fed(client)
        assert [entry.path for entry in table.models()] == ["ml/a"]
        assert [feed.synced.is_set(), feed.age] == [False, None]
        assert "no endpointslices" in feed.trouble
        client.missing = {MODELS}
        await asyncio.sleep(10)
        assert [feed.synced.is_set(), feed.trouble] == [True, ""]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()

    run(scenario())
