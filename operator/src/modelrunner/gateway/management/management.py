"""Everything that the API can do to Models, in one place for the routes."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import Protocol

from modelrunner.gateway.management.changing import Changing
from modelrunner.gateway.management.making import Made, Making
from modelrunner.gateway.management.objects import ModelObjects, Terms
from modelrunner.gateway.management.progress import Progress
from modelrunner.gateway.management.pulls import follow
from modelrunner.gateway.management.refreshing import Judge
from modelrunner.gateway.management.removing import Removing
from modelrunner.gateway.messages import Endpoint
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.gateway.table.table import RouteTable
from modelrunner.kube.client import KubeClient


class Unloader(Protocol):
    """Asks runners to go."""

    async def unload(self, endpoint: Endpoint, name: str, mode: str) -> bool:
        """Ask one runner of a model to go as soon as it is idle; whether it will."""
        ...


class Management:
    """What the routes that change Models do."""

    def __init__(
        self, client: KubeClient, table: RouteTable, terms: Terms, runners: Unloader
    ) -> None:
        self._objects = ModelObjects(client, table, terms)
        self._runners = runners
        self.making = Making(self._objects)
        self.removing = Removing(self._objects)
        self.changing = Changing(self._objects)

    def follow(self, made: Made) -> AsyncGenerator[Progress]:
        """How far a Model is, until its weights are there; see `pulls.follow`."""
        if made.asked is None:
            return follow(self._objects, made)
        judge = Judge(made.asked, asyncio.get_running_loop().time)
        return follow(self._objects, made, judge)

    async def unload(self, entries: Iterable[ModelEntry]) -> int:
        """Let the runners of models go as soon as they are idle; how many will."""
        asked = [
            self._runners.unload(endpoint, entry.name, entry.mode)
            for entry in entries
            for endpoint in entry.ready
        ]
        return sum(await asyncio.gather(*asked))
