"""The periodic look at everything: what the watches missed is found here.

A watch can lose a deletion (it happened while the stream was broken) or die silently. So every
collection is listed anew from time to time and compared with the cache; and every key is
reconciled again, which mends what changed without an event.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

C = TypeVar("C")
C_co = TypeVar("C_co", covariant=True)
_log = logging.getLogger(__name__)

_FIRST_RETRY: Final = 1.0
_LAST_RETRY: Final = 30.0


class Source(Protocol[C_co]):
    """A collection that can be brought up to date."""

    @property
    def name(self) -> str:
        """For logs and metrics."""
        ...

    async def refresh(self) -> Sequence[C_co]:
        """Bring the cache up to date and tell the differences."""
        ...


class Resync(Generic[C]):
    """Refreshes all sources every `period` seconds (± 10 %), and at once when asked.

    `on_change(name, difference)` is called for each difference, `on_sweep()` after each round in
    which every source answered. A source that fails is tried again with back-off.
    """

    def __init__(
        self,
        sources: Sequence[Source[C]],
        *,
        on_change: Callable[[str, C], None],
        on_sweep: Callable[[], None],
        period: float,
        settle: float = 2.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._sources = sources
        self._on_change = on_change
        self._on_sweep = on_sweep
        self._period = period
        self._settle = settle
        self._jitter = jitter
        self._asked = asyncio.Event()
        self._synced = asyncio.Event()
        self._swept_at: float | None = None

    @property
    def synced(self) -> bool:
        """Whether every source has been listed at least once."""
        return self._synced.is_set()

    @property
    def age(self) -> float | None:
        """Seconds since the last complete round, None before the first."""
        now = asyncio.get_running_loop().time()
        return None if self._swept_at is None else now - self._swept_at

    async def wait_synced(self) -> None:
        """Wait for the first complete round."""
        await self._synced.wait()

    def soon(self) -> None:
        """Ask for a round within moments; many asks make one round."""
        self._asked.set()

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            await self._round()
            pause = self._period * (0.9 + 0.2 * self._jitter())
            try:
                async with asyncio.timeout(pause):
                    await self._asked.wait()
                    # Whatever made somebody ask rarely comes alone.
                    await asyncio.sleep(self._settle)
            except TimeoutError:
                pass
            self._asked.clear()

    async def _round(self) -> None:
        waiting = list(self._sources)
        retry = _FIRST_RETRY
        while True:
            waiting = [source for source in waiting if not await self._refreshed(source)]
            if not waiting:
                break
            await asyncio.sleep(retry * (0.5 + 0.5 * self._jitter()))
            retry = min(retry * 2, _LAST_RETRY)
        self._swept_at = asyncio.get_running_loop().time()
        self._synced.set()
        self._on_sweep()

    async def _refreshed(self, source: Source[C]) -> bool:
        try:
            changes = await source.refresh()
        except Exception as error:  # noqa: BLE001 - any failure of a source means: again, later
            _log.warning("%s could not be listed: %s", source.name, error)
            return False
        for change in changes:
            self._on_change(source.name, change)
        return True
