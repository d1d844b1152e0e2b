"""A file that is being downloaded: written as it comes and hashed in order, by one thread."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from runnerd.weights.partial_state import boot, read_state
from runnerd.weights.ranges import Ranges
from runnerd.weights.store import state_path, write_whole

PIECE: Final = 16 * 1024 * 1024
"""Of bytes that came out of order at most so many are downloaded again after a kill."""

_BLOCK: Final = 4 * 1024 * 1024


class PartialFile:
    """The bytes [0, `size`) of a file, their sha256, and maybe bytes behind them.

    Writing and hashing run in a thread, at most one block behind each connection: the loop stays
    free, and both use more than one core. All errors of the volume are OSErrors.

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
        self._sha256 = hashlib.sha256()
        self._handle = -1
        self._ahead: Ranges | None = None
        self._unnoted = 0
        self._end = self.writer(0)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="weights")
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
        self._end.forget()
        # What the thread is writing is part of the file before anybody else looks at it.
        self._thread.shutdown(wait=True)
        if self._ahead is not None and self.path.exists():
            with suppress(OSError):
                os.fdatasync(self._handle)
                self._write_state(synced=True)
        os.close(self._handle)

    @property
    def held(self) -> int:
        """Bytes that are there, in order or not."""
        return self.size if self._ahead is None else self._ahead.total

    async def recover(self, on_read: Callable[[int], None]) -> None:
        """Take over what an earlier pull left, after hashing it; `on_read` is told each size."""
        state, length = read_state(self._state), os.fstat(self._handle).st_size
        if state is None or state.size != self._expected or length > self._expected:
            await self.restart()
            return
        self.validator, self._ahead = state.validator, state.held
        held = length if state.held is None else state.held.reach(0)
        while self.size < held:
            await self._run(lambda: self._hash_next(held))
            on_read(self.size)

    async def restart(self, validator: str = "") -> None:
        """Begin anew, with another version of the file."""
        await self.settle()
        await self._idle()
        self._sha256 = hashlib.sha256()
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
        """From now on bytes come in any order, by `writer`; those that are there."""
        if self._ahead is None:
            self._ahead = Ranges([(0, self.size)])
            await self._run(self._write_state)
        return self._ahead

    async def catch_up(self) -> None:
        """Hash what is there in one piece from the beginning on."""
        await self._idle()
        reach = self.size if self._ahead is None else self._ahead.reach(self.size)
        while self.size < reach:
            await self._run(lambda: self._hash_next(reach))

    def writer(self, at: int) -> "Writer":
        """Writes bytes one after the other, from `at` on."""
        return Writer(self._run, self._put, at)

    async def identify(self, validator: str) -> None:
        """Note what ties the bytes to one version of the file."""
        if validator != self.validator or not self._state.exists():
            self.validator = validator
            await self._run(self._write_state)

    async def write(self, chunk: bytes) -> None:
        """Append bytes; returns when the chunk before this one is written."""
        await self._end.settle()
        if self._end.at != self.size:
            self._end = self.writer(self.size)
        await self._end.write(chunk)

    async def settle(self) -> None:
        """Wait until everything that was appended is written.

        Raises:
            OSError: the volume is full or failed.
        """
        await self._end.settle()

    async def finish(self) -> str:
        """Put everything on the disk; the sha256 in hex."""
        await self.settle()
        await self._run(lambda: os.fsync(self._handle))
        if self._ahead is not None:
            # It is as long as what came in order, and needs no account any more.
            self._ahead = None
            await self._run(self._write_state)
        return self._sha256.hexdigest()

    def _run(self, work: Callable[[], None]) -> asyncio.Future[None]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _idle(self) -> None:
        """Wait for what writers have begun, also those that were cancelled."""
        await self._run(lambda: None)

    def _put(self, chunk: bytes, offset: int) -> None:
        view, at = memoryview(chunk), offset
        while view:
            written = os.pwrite(self._handle, view, at)
            at += written
            view = view[written:]
        if offset == self.size:
            self._sha256.update(chunk)
            self.size = at
        if self._ahead is not None:
            self._note(self._ahead, offset, at)

    def _note(self, ahead: Ranges, start: int, stop: int) -> None:
        ahead.add(start, stop)
        self._unnoted += stop - start
        if self._unnoted >= PIECE:
            self._unnoted = 0
            self._write_state()
        # A block at a time: whoever writes next does not wait long.
        if (reach := ahead.reach(self.size)) > self.size:
            self._hash_next(reach)

    def _hash_next(self, stop: int) -> None:
        block = os.pread(self._handle, min(_BLOCK, stop - self.size), self.size)
        if not block:
            raise OSError(0, "the file became shorter while it was read")
        self._sha256.update(block)
        self.size += len(block)

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


class Writer:
    """Puts bytes into a file one after the other, at most one chunk behind who gives them.

    `at` is where the next ones belong.
    """

    def __init__(
        self,
        run: Callable[[Callable[[], None]], asyncio.Future[None]],
        put: Callable[[bytes, int], None],
        at: int,
    ) -> None:
        self._run = run
        self._put = put
        self._pending: asyncio.Future[None] | None = None
        self.at = at

    async def write(self, chunk: bytes) -> None:
        """Write bytes; returns when those before are written.

        Raises:
            OSError: the volume is full or failed.
        """
        await self.settle()
        offset, self.at = self.at, self.at + len(chunk)
        self._pending = self._run(lambda: self._put(chunk, offset))

    async def settle(self) -> None:
        """Wait until everything is written.

        Raises:
            OSError: the volume is full or failed.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            await pending

    def forget(self) -> None:
        """Whatever ended the download is told, not that the last block failed as well."""
        if self._pending is not None:
            self._pending.add_done_callback(lambda done: done.cancelled() or done.exception())
