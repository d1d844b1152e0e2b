"""A file that is being downloaded: written as it comes by one thread, hashed by another."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from runnerd.weights.durable import write_whole
from runnerd.weights.partial_state import boot, read_state
from runnerd.weights.ranges import Ranges
from runnerd.weights.source import Chunk
from runnerd.weights.store import state_path
from runnerd.weights.trail import Trail
from runnerd.weights.writeback import begin_writeback

PIECE: Final = 16 * 1024 * 1024
"""Of bytes that came out of order at most so many are downloaded again after a kill."""


T = TypeVar("T")


class PartialFile:
    """The bytes [0, `size`) of a file, their sha256, and maybe bytes behind them.

    Writing and hashing run in a thread each: the loop stays free, and all three use more than one
    core. All errors of the volume are OSErrors.

    Bytes that come in order need no account: the file is as long as they are. Those that come out
    of order are noted in the state, once in a while.

    Args:
        folder: The partial folder; made if it is not there.
        name: The file's name, checked by `store.safe_name`.
        expected: Bytes of the whole file.
    """

    def __init__(self, folder: Path, name: str, expected: int) -> None:
        self.path = folder / name
        self._state = state_path(folder, name)
        self._expected = expected
        self._handle = -1
        self._ahead: Ranges | None = None
        self._unnoted = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="weights")
        self._trail = Trail(lambda block, at: os.preadv(self._handle, [block], at))
        self.size = 0
        self.validator = ""
        folder.mkdir(mode=0o775, exist_ok=True)

    async def __aenter__(self) -> Self:
        self._handle = os.open(
            self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o664
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What the thread is writing is part of the file before anybody else looks at it.
        self._thread.shutdown(wait=True)
        self._trail.close()
        if self._ahead is not None and self.path.exists():
            with suppress(OSError):
                os.fdatasync(self._handle)
                self._write_state(synced=True)
        os.close(self._handle)

    @property
    def held(self) -> int:
        """Bytes that are there, in order or not."""
        return self.size if self._ahead is None else self._ahead.total

    async def recover(self) -> None:
        """Take over what an earlier pull left; it is hashed while more comes."""
        state, length = read_state(self._state), os.fstat(self._handle).st_size
        if state is None or state.size != self._expected or length > self._expected:
            await self.restart()
            return
        self.validator, self._ahead = state.validator, state.held
        self.size = length if state.held is None else state.held.reach(0)
        self._trail.follow(self.size)

    async def restart(self, validator: str = "") -> None:
        """Begin anew, with another version of the file."""
        await self._idle()
        await self._trail.restart()
        self.size = 0
        self._ahead = None
        self.validator = validator
        await self._run(self._cut)

    async def in_order(self) -> None:
        """From now on bytes come in order; those that are ahead are given up."""
        if self._ahead is not None:
            await self._idle()
            self._ahead = None
            await self._run(self._cut)

    async def out_of_order(self) -> Ranges:
        """From now on bytes come in any order; those that are there."""
        if self._ahead is None:
            self._ahead = Ranges([(0, self.size)])
            await self._run(self._write_state)
        return self._ahead

    async def identify(self, validator: str) -> None:
        """Note what ties the bytes to one version of the file."""
        if validator != self.validator or not self._state.exists():
            self.validator = validator
            await self._run(self._write_state)

    async def write(self, chunk: Chunk, at: int) -> None:
        """Put bytes where they belong; returns when nobody needs the chunk any more.

        Raises:
            OSError: the volume is full or failed.
        """
        hashed = await self._run(lambda: self._put(chunk, at))
        if hashed is not None and not hashed.done():
            # Whoever is cancelled here takes no bytes out of the hash.
            await asyncio.shield(asyncio.wrap_future(hashed))

    async def finish(self) -> str:
        """Put everything on the disk; the sha256 in hex.

        Raises:
            OSError: the volume is full or failed.
        """
        await self._run(lambda: os.fsync(self._handle))
        await self._trail.caught_up()
        if self._ahead is not None:
            # It is as long as what came in order, and needs no account any more.
            self._ahead = None
            await self._run(self._write_state)
        return self._trail.hexdigest()

    def _run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _idle(self) -> None:
        """Wait for what was begun, also by those who were cancelled."""
        await self._run(lambda: None)

    def _put(self, chunk: Chunk, offset: int) -> "Future[None] | None":
        """Write it; what is returned goes on with it, and has its bytes until it is done."""
        # Only here: what a cancelled pull never writes must not be hashed.
        hashed = self._trail.take(chunk, offset)
        view, at = memoryview(chunk), offset
        while view:
            written = os.pwrite(self._handle, view, at)
            at += written
            view = view[written:]
        if self._ahead is not None:
            self._ahead.add(offset, at)
        self._unnoted += at - offset
        if self._unnoted >= PIECE:
            self._unnoted = 0
            begin_writeback(self._handle)
            if self._ahead is not None:
                self._write_state()
        reach = at if self._ahead is None else self._ahead.reach(self.size)
        if reach > self.size:
            self.size = reach
            if hashed is None or reach > at:
                self._trail.follow(reach)
        return hashed

    def _cut(self) -> None:
        os.ftruncate(self._handle, self.size)
        self._write_state()

    def _write_state(self, *, synced: bool = False) -> None:
        state: dict[str, Any] = {"validator": self.validator, "size": self._expected}
        if self._ahead is None:
            write_whole(self._state, state)
            return
        # After a crash of the machine nobody knows which of them reached the disk.
        state |= {"held": list(self._ahead), "boot": "" if synced else boot()}
        write_whole(self._state, state, durable=synced)
