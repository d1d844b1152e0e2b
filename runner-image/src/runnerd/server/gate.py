"""How many requests are inside, and whose turn at the engine it is."""

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Callable
from typing import Final

_JITTER: Final = 1.0


class Gate:
    """A bound on the requests inside, a bound on their bodies, and a FIFO before the engine.

    The engine is sent only as many requests as it works on: more would queue inside it, where
    they take the threads that answer its health and metrics.
    """

    def __init__(self, *, max_in_flight: int, max_held: int, now: Callable[[], float]) -> None:
        self._max_in_flight = max_in_flight
        self._max_held = max_held
        self._now = now
        self._turns = 1
        self._working = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._idle = asyncio.Event()
        self._idle.set()
        self.held = 0
        self.in_flight = 0
        self.last_used_at: float | None = None

    @property
    def waiting(self) -> int:
        """Requests whose turn has not come."""
        return len(self._queue)

    def open(self, turns: int) -> None:
        """Let `turns` requests be at the engine at once."""
        self._turns = turns
        self._grant()

    def enter(self) -> bool:
        """Take a place; False when all are taken. Every True is followed by `leave`."""
        if self.in_flight >= self._max_in_flight:
            return False
        self.in_flight += 1
        self._idle.clear()
        self._used()
        return True

    def leave(self, held: int) -> None:
        """Give back the place and the `held` bytes taken with `hold`."""
        self.held -= held
        self.in_flight -= 1
        self._used()
        if not self.in_flight:
            self._idle.set()

    def hold(self, count: int) -> bool:
        """Take `count` bytes of memory for a body; False when that is too much."""
        if self.held + count > self._max_held:
            return False
        self.held += count
        return True

    async def turn(self) -> None:
        """Wait until the engine has room; first come, first served. Followed by `done`."""
        if self._working < self._turns and not self._queue:
            self._working += 1
            return
        granted = asyncio.get_running_loop().create_future()
        self._queue.append(granted)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.cancelled():
                with contextlib.suppress(ValueError):
                    self._queue.remove(granted)
            else:
                # The turn came in the same moment in which the client left.
                self.done()
            raise

    def done(self) -> None:
        """The engine has room for one more."""
        self._working -= 1
        self._grant()

    async def until_idle(self) -> None:
        """Wait until nobody is inside."""
        await self._idle.wait()

    def _used(self) -> None:
        last, now = self.last_used_at, self._now()
        # Who compares it with what it was told sees every use, however coarse the clock is.
        # Only a clock that was set back is followed back.
        if last is not None and last - _JITTER < now <= last:
            now = math.nextafter(last, math.inf)
        self.last_used_at = now

    def _grant(self) -> None:
        while self._queue and self._working < self._turns:
            granted = self._queue.popleft()
            if not granted.cancelled():
                self._working += 1
                granted.set_result(None)
