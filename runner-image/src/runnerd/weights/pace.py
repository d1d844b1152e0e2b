"""A bound on how fast bytes may come."""

from typing import Final

from runnerd.weights.clock import Clock

_SHORTEST: Final = 0.02


class Pace:
    """Lets `limit` bytes a second pass, of all connections together; 0: any number."""

    def __init__(self, limit: float, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._free_at = clock.now()

    async def spend(self, count: int) -> None:
        """Wait until `count` more bytes were allowed to come."""
        if not self._limit:
            return
        now = self._clock.now()
        self._free_at = max(self._free_at, now) + count / self._limit
        if (left := self._free_at - now) >= _SHORTEST:
            await self._clock.sleep(left)
