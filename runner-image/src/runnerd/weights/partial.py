"""A file that is being downloaded: written and hashed in order, by one thread."""

import asyncio
import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from runnerd.weights.store import state_path, write_whole

_BLOCK: Final = 4 * 1024 * 1024


class PartialFile:
    """The bytes [0, `size`) of a file, and their sha256.

    Writing and hashing run in a thread, at most one block behind the network: the loop stays
    free, and both use more than one core. All errors of the volume are OSErrors.

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
        self._pending: asyncio.Future[None] | None = None
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
        if self._pending is not None:
            # Whatever ended the download is told, not that the last block failed as well.
            self._pending.add_done_callback(lambda done: done.cancelled() or done.exception())
        # What the thread is writing is part of the file before anybody else looks at it.
        self._thread.shutdown(wait=True)
        os.close(self._handle)

    async def recover(self, on_read: Callable[[int], None]) -> None:
        """Take over what an earlier pull left, after hashing it; `on_read` is told each size."""
        self.validator, expected = _read_state(self._state)
        held = os.fstat(self._handle).st_size
        if expected != self._expected or held > self._expected:
            await self.restart()
            return
        while self.size < held:
            await self._run(self._hash_next)
            on_read(self.size)

    async def restart(self, validator: str = "") -> None:
        """Begin anew, with another version of the file."""
        await self.settle()
        self._sha256 = hashlib.sha256()
        self.size = 0
        self.validator = validator
        await self._run(self._begin)

    async def identify(self, validator: str) -> None:
        """Note what ties the bytes to one version of the file."""
        if validator != self.validator or not self._state.exists():
            self.validator = validator
            await self._run(self._write_state)

    async def write(self, chunk: bytes) -> None:
        """Append bytes; returns when the chunk before this one is written."""
        await self.settle()
        self._pending = asyncio.get_running_loop().run_in_executor(
            self._thread, self._append, chunk
        )

    async def settle(self) -> None:
        """Wait until everything is written.

        Raises:
            OSError: the volume is full or failed.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            await pending

    async def finish(self) -> str:
        """Put everything on the disk; the sha256 in hex."""
        await self.settle()
        await self._run(lambda: os.fsync(self._handle))
        return self._sha256.hexdigest()

    async def _run(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _append(self, chunk: bytes) -> None:
        view = memoryview(chunk)
        offset = self.size
        while view:
            written = os.pwrite(self._handle, view, offset)
            offset += written
            view = view[written:]
        self._sha256.update(chunk)
        self.size = offset

    def _hash_next(self) -> None:
        block = os.pread(self._handle, _BLOCK, self.size)
        if not block:
            raise OSError(0, "the file became shorter while it was read")
        self._sha256.update(block)
        self.size += len(block)

    def _begin(self) -> None:
        os.ftruncate(self._handle, 0)
        self._write_state()

    def _write_state(self) -> None:
        write_whole(self._state, {"validator": self.validator, "size": self._expected})


def _read_state(path: Path) -> tuple[str, int]:
    """(validator, size) of an earlier pull; ("", -1) if there was none or it is unreadable."""
    try:
        data = json.loads(path.read_text("utf-8"))
        validator, size = data["validator"], data["size"]
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return "", -1
    if not isinstance(validator, str) or not isinstance(size, int):
        return "", -1
    return validator, size
