"""Asks runners whether they are ready, for as long as somebody waits for the answer."""

import asyncio
from collections.abc import Callable, Collection
from typing import Final

from modelrunner.gateway.hold.runners import Readiness, Runners
from modelrunner.gateway.messages import Endpoint

_INTERVAL: Final = 0.1
"""Seconds between two questions, unless the runner kept the first one longer."""


class Prober:
    """One question at a time to each endpoint. `learned` is told, and says whether that is enough."""

    def __init__(self, runners: Runners, learned: Callable[[Endpoint, Readiness], bool]) -> None:
        self._runners = runners
        self._learned = learned
        self._tasks: dict[Endpoint, asyncio.Task[None]] = {}

    def ask(self, wanted: Collection[Endpoint]) -> None:
        """Ask these, and no others, from now on."""
        for endpoint in [found for found in self._tasks if found not in wanted]:
            self._tasks.pop(endpoint).cancel()
        for endpoint in wanted:
            if endpoint not in self._tasks:
                self._tasks[endpoint] = asyncio.create_task(self._ask(endpoint))

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """What runs now."""
        return list(self._tasks.values())

    async def _ask(self, endpoint: Endpoint) -> None:
        now = asyncio.get_running_loop().time
        while True:
            began = now()
            found = await self._runners.readiness(endpoint)
            if self._learned(endpoint, found):
                # Before anybody can ask for it again: there is no await in between.
                del self._tasks[endpoint]
                return
            await asyncio.sleep(max(0.0, began + _INTERVAL - now()))
