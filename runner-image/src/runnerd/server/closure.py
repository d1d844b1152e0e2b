"""A door that is closed for a while, and opens by itself."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from modelrunner_protocol.runner import Closing
from runnerd.server.gate import Gate
from runnerd.server.waiting import Waiting

LONGEST_LEASE: Final = 300.0
"""Seconds. Whoever closes a door has to come back, or lose it."""


class Closure:
    """Whether new requests are refused. Nothing has to happen for a lease to end: it is a time.

    Between the look at the gate and the closing there is no await, and none between a request's
    look at the closure and its entering the gate: it is inside before, or it is refused.
    """

    def __init__(
        self, gate: Gate, waiting: Waiting, *, clock: Callable[[], float], now: Callable[[], float]
    ) -> None:
        """`clock` is monotonic and decides; `now` is the time that is told to others."""
        self._gate = gate
        self._waiting = waiting
        self._clock = clock
        self._now = now
        self._deadline = 0.0
        self._told = 0.0
        self._changed = asyncio.Event()

    @property
    def closed(self) -> bool:
        """Whether new requests are refused."""
        return self._clock() < self._deadline

    @property
    def until(self) -> float | None:
        """When the door opens by itself (seconds since the epoch); None when it is open."""
        return self._told if self.closed else None

    def close(self, asked: Closing) -> bool:
        """Close the door for `asked.lease` seconds from now, or say no and leave it as it is."""
        if not asked.drain and not self._unused_since(asked.last_used_at):
            return False
        self._set(asked.lease)
        return True

    def open(self) -> None:
        """Let requests in again."""
        self._set(0.0)

    async def opened(self, timeout: float) -> None:
        """Wait, at most `timeout` seconds, while the door is closed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self.closed:
                    await self._changed_or_over()

    def _unused_since(self, last_used_at: float | None) -> bool:
        gate = self._gate
        return not gate.in_flight and not self._waiting.total and gate.last_used_at == last_used_at

    def _set(self, lease: float) -> None:
        self._deadline = self._clock() + lease
        self._told = self._now() + lease
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _changed_or_over(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._deadline - self._clock()):
                await self._changed.wait()
