"""Tells a runner how many requests wait for it, so that the operator hears of them."""

import asyncio
from collections.abc import Callable
from typing import Final

from modelrunner.gateway.hold.runners import Runners
from modelrunner.gateway.messages import Endpoint

_INTERVAL: Final = 1.0


class Reporter:
    """Reports once a second while anybody waits, and at last that nobody does.

    `whom` may be None for now; `held` is the number.
    """

    def __init__(
        self, runners: Runners, whom: Callable[[], Endpoint | None], held: Callable[[], int]
    ) -> None:
        self._runners = runners
        self._whom = whom
        self._held = held
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, unless it goes on anyway; it ends by itself."""
        if self.task is None:
            self.task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """End at once."""
        if self.task is not None:
            self.task.cancel()
            self.task = None

    async def _run(self) -> None:
        told = 0
        while (held := self._held()) or told:
            endpoint = self._whom()
            if endpoint is not None:
                await self._runners.report(endpoint, held)
            told = held
            if held:
                await asyncio.sleep(_INTERVAL)
        # No await since the last look: whoever waits from now on starts another one.
        self.task = None
