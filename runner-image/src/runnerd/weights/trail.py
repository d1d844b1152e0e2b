"""The sha256 of a file that is being written, by a thread that follows the writers."""

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from runnerd.weights.source import Chunk

# Small enough to stay in the processor's cache between being read and being hashed.
_BLOCK: Final = 512 * 1024


class Trail:
    """Hashes a file from its beginning on, as far as it is written.

    What is hashed is read again: it was written a moment ago, so the page cache has it. So it
    does not matter in which order bytes come, and nobody waits for the hash. Only bytes that come
    just when they are next are hashed from where they are.

    Args:
        read: Fills a buffer with the file's bytes from an offset on, and returns how many.
    """

    def __init__(self, read: Callable[[memoryview, int], int]) -> None:
        self._read = read
        self._sha256 = hashlib.sha256()
        self._block = memoryview(bytearray(_BLOCK))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sha256")
        self._last: Future[None] | None = None
        self._stopped = False
        self._at = 0

    def follow(self, reach: int) -> None:
        """All bytes before `reach` are there; from any thread."""
        self._last = self._thread.submit(self._go, reach)

    def take(self, chunk: Chunk, at: int) -> "Future[None] | None":
        """Hash bytes that belong at `at` from where they are, if they are what comes next.

        Returns:
            Done once the chunk is not needed any more; None where it was not taken: whoever has
            written it tells `follow`.
        """
        if self._at != at or not (self._last is None or self._last.done()):
            return None
        self._last = self._thread.submit(self._take, chunk)
        return self._last

    async def caught_up(self) -> None:
        """Wait until all bytes that are there are hashed.

        Raises:
            OSError: the volume failed.
        """
        if self._last is not None:
            await asyncio.wrap_future(self._last)

    async def restart(self) -> None:
        """Begin anew, whatever is left."""
        self._stopped = True
        self._last = self._thread.submit(self._forget)
        await self.caught_up()

    def hexdigest(self) -> str:
        """Of all that is hashed so far; `caught_up` comes before it."""
        return self._sha256.hexdigest()

    def close(self) -> None:
        """Stop reading, whatever is left."""
        self._stopped = True
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _go(self, reach: int) -> None:
        while self._at < reach and not self._stopped:
            count = self._read(self._block[: reach - self._at], self._at)
            if not count:
                raise OSError(0, "the file became shorter while it was read")
            self._sha256.update(self._block[:count])
            self._at += count

    def _take(self, chunk: Chunk) -> None:
        self._sha256.update(chunk)
        self._at += len(chunk)

    def _forget(self) -> None:
        self._sha256, self._at, self._stopped = hashlib.sha256(), 0, False
