"""One writer for each artifact, also on volumes that several machines share.

The lock of the operating system goes with its holder, but on some shared volumes it holds on one
machine only. So the writer keeps a lease beside it: a small file that it changes every few seconds.
Who finds the lock free and a lease that goes on changing waits. One that stays the same for longer
than any pause of a writer is taken over; how long is measured by the clock of who waits, since the
machines' clocks, and the volume's, may differ. On one machine the lock is enough: a lease of the
same run of the same machine is taken over at once.
"""

import asyncio
import contextlib
import json
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from runnerd.weights.clock import Clock
from runnerd.weights.failure import WeightsError
from runnerd.weights.partial_state import boot
from runnerd.weights.store import Store

logger = logging.getLogger(__name__)

INTERVAL: Final = 5.0
"""Seconds between two changes of a lease."""

EXPIRY: Final = 30.0
"""A lease that did not change for so many seconds has no holder any more."""

_SETTLE: Final = 2.0
"""Two who take over one lease at once see after so many seconds who of them was later."""

_LOCK_INTERVAL: Final = 0.5
_LONGEST: Final = 4096
_FLAGS: Final = os.O_CLOEXEC | os.O_NOFOLLOW


class BusyError(WeightsError):
    """Somebody else is writing the artifact."""

    def __init__(self, store: Store) -> None:
        super().__init__(f"{store.key} is being written", retryable=True)


class LeaseLostError(WeightsError):
    """Another machine writes the artifact now: this one was silent for too long."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"another machine has taken over {path.stem}: this one could not renew its lease at "
            f"{path} in time; what came is kept",
            retryable=True,
        )


class Lease:
    """The lease of one writer.

    Args:
        path: Of the file.
        clock: Measures how long a lease stays the same.
        node: Which run of which machine this is; the default is the true one.
    """

    def __init__(self, path: Path, clock: Clock, *, node: str = "") -> None:
        self._path = path
        self._clock = clock
        self._node = node or boot()
        self._holder = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self._renewals = 0
        self._mine = b""
        self._seen: bytes | None = None
        self._since = 0.0
        self._lost = False
        self.alive = False
        """Whether somebody else was seen to renew it."""

    async def take(self) -> bool:
        """Try to become the holder, with the lock held; ask again a moment later.

        Raises:
            OSError: the volume cannot be written.
        """
        found = self._read()
        if found is None:
            return self._write(os.O_CREAT | os.O_EXCL)
        if self._node != "unknown" and _node_of(found) == self._node:
            return self._write()
        now = self._clock.now()
        if found != self._seen:
            self.alive = self._seen is not None
            self._seen, self._since = found, now
        if now - self._since < EXPIRY:
            return False
        logger.warning("%s has not changed for %.0f s: taking over", self._path, now - self._since)
        self._write()
        await self._clock.sleep(_SETTLE)
        return self._read() == self._mine

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Renew it during the block, and give it back at its end.

        Raises:
            LeaseLostError: somebody has taken it over; the block was cancelled.
        """
        scope = asyncio.timeout(None)
        try:
            async with scope:
                task = asyncio.create_task(self._renewing(scope))
                try:
                    yield
                finally:
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
        except TimeoutError:
            if not self._lost:
                raise
            raise LeaseLostError(self._path) from None
        finally:
            if not self._lost and self._read() == self._mine:
                self._path.unlink(missing_ok=True)

    async def _renewing(self, scope: asyncio.Timeout) -> None:
        renewed = self._clock.now()
        while True:
            await self._clock.sleep(INTERVAL)
            try:
                self._lost = not await asyncio.to_thread(self._renew)
                renewed = self._clock.now()
            except OSError as error:
                logger.warning("%s cannot be renewed: %s", self._path, error.strerror)
                self._lost = self._clock.now() - renewed > EXPIRY - 2 * INTERVAL
            if self._lost:
                scope.reschedule(asyncio.get_running_loop().time())
                return

    def _renew(self) -> bool:
        if self._read() != self._mine:
            return False
        self._renewals += 1
        return self._write()

    def _read(self) -> bytes | None:
        # Opened each time: only then shared volumes look for what others wrote.
        try:
            handle = os.open(self._path, os.O_RDONLY | _FLAGS)
        except FileNotFoundError:
            return None
        try:
            return os.read(handle, _LONGEST)
        finally:
            os.close(handle)

    def _write(self, flags: int = 0) -> bool:
        """In place: a file that is replaced may be seen late on shared volumes."""
        told = {"holder": self._holder, "node": self._node, "renewals": self._renewals}
        text = json.dumps(told).encode() + b"\n"
        try:
            handle = os.open(self._path, os.O_WRONLY | flags | _FLAGS, 0o664)
        except FileExistsError:
            return False
        try:
            os.pwrite(handle, text, 0)
            os.ftruncate(handle, len(text))
        except OSError:
            if flags:
                # An empty one would be waited for.
                self._path.unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)
        self._mine = text
        return True


@contextlib.asynccontextmanager
async def only_writer(
    store: Store,
    clock: Clock,
    *,
    on_wait: Callable[[], None] = lambda: None,
    wait: bool = True,
    node: str = "",
) -> AsyncIterator[None]:
    """Be the only one who writes an artifact during the block; waits for that.

    Args:
        store: Its place.
        clock: Of this machine.
        on_wait: Called once, when somebody else is at work.
        wait: Whether to wait for who is at work; a lease is watched until that is known.
        node: See `Lease`.

    Raises:
        BusyError: somebody else is at work, and `wait` is false.
        LeaseLostError: somebody else is at work since; the block was cancelled.
        OSError: the volume cannot be written.
    """
    lease, told = Lease(store.lease, clock, node=node), False
    while True:
        with store.lock() as mine:
            if mine and await lease.take():
                async with lease.kept():
                    yield
                return
        if not wait and (lease.alive or not mine):
            raise BusyError(store)
        if not told:
            on_wait()
            told = True
        await clock.sleep(_LOCK_INTERVAL)


def _node_of(text: bytes) -> str:
    try:
        found = json.loads(text)
        return str(found["node"])
    except (ValueError, TypeError, LookupError, RecursionError):
        return ""
