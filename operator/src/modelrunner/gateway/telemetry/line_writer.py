"""Lines to a file descriptor, by a thread: a reader that stands still stops no request."""

import os
from asyncio import AbstractEventLoop
from queue import SimpleQueue
from threading import Thread
from typing import Final

_PERIOD: Final = 0.1
_PATIENCE: Final = 2.0


class LineWriter:
    """Writes lines in order, a batch every tenth of a second.

    At most `backlog` bytes wait; a line beyond that is dropped and counted in `dropped`, and so is
    what the descriptor refuses. To be used in the thread of `loop` only.
    """

    def __init__(self, fd: int, loop: AbstractEventLoop, *, backlog: int = 4 << 20) -> None:
        self._fd = fd
        self._loop = loop
        self._backlog = backlog
        # Each of these has one thread that changes it.
        self._taken = 0
        self._refused = 0
        self._done = 0
        self._lost = 0
        self._lines: list[bytes] = []
        self._batches: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name="access-log", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Lines that nobody will read."""
        return self._refused + self._lost

    def write(self, line: bytes) -> None:
        """Take a line, its line feed included."""
        if self._taken - self._done + len(line) > self._backlog:
            self._refused += 1
            return
        if not self._lines:
            self._loop.call_later(_PERIOD, self._flush)
        self._taken += len(line)
        self._lines.append(line)

    def close(self) -> None:
        """Write what waits; gives up on a reader that stands still. No line may follow."""
        self._flush()
        self._batches.put(None)
        self._thread.join(_PATIENCE)

    def _flush(self) -> None:
        if self._lines:
            self._batches.put(b"".join(self._lines))
            self._lines.clear()

    def _work(self) -> None:
        while (batch := self._batches.get()) is not None:
            rest = memoryview(batch)
            try:
                while rest:
                    rest = rest[os.write(self._fd, rest) :]
            except OSError:
                self._lost += bytes(rest).count(b"\n")
            self._done += len(batch)
