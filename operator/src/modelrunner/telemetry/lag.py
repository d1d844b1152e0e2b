"""How late the event loop is."""

import asyncio
from collections.abc import Callable


class LoopLag:
    """Asks to be woken every `tick` seconds, looks at the clock, and tells `observe`."""

    def __init__(self, tick: float = 1.0, observe: Callable[[float], None] | None = None) -> None:
        self._tick = tick
        self._observe = observe
        self._lag = 0.0

    @property
    def seconds(self) -> float:
        """The last measured lag."""
        return self._lag

    async def run(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + self._tick
            await asyncio.sleep(self._tick)
            self._lag = max(0.0, loop.time() - due)
            if self._observe is not None:
                self._observe(self._lag)
