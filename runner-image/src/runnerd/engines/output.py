"""The engine's output: always drained, its end kept, its lines passed on."""

import asyncio
import contextlib
import os
import re
from collections import deque
from collections.abc import Callable
from typing import Final

LINES_KEPT: Final = 50
LONGEST_LINE: Final = 1000
"""Bytes of a line that are kept; the rest of the line is dropped."""

_READ: Final = 1 << 16
_STAMP: Final = re.compile(r"^\d+\.\d\d\.\d{3}\.\d{3} ([A-Z]) ")
# llama-server repeats pieces of a request in these: they are a user's words.
_QUOTES_REQUESTS: Final = ("got exception:", "Wrong type supplied for parameter")


class Output:
    """Reads one engine's output from the pipe `source` until its end, in the running loop."""

    def __init__(self, source: int, forward: Callable[[str], None]) -> None:
        self.lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._forward = forward
        self._source = source
        self._partial = b""
        self._over = asyncio.get_running_loop().create_future()
        os.set_blocking(source, False)
        asyncio.get_running_loop().add_reader(source, self._read)

    async def finished(self, timeout: float) -> None:
        """Wait for the last line, at most `timeout` seconds, then let go of the pipe."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await asyncio.shield(self._over)
        self.close()

    def close(self) -> None:
        """Let go of the pipe."""
        if not self._over.done():
            asyncio.get_running_loop().remove_reader(self._source)
            os.close(self._source)
            self._take(self._partial)
            self._over.set_result(None)

    def _read(self) -> None:
        try:
            data = os.read(self._source, _READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        *whole, rest = (self._partial + data).split(b"\n")
        # What is kept of a line without end is bounded; the surplus of a long line is dropped.
        self._partial = rest[: LONGEST_LINE + 1]
        for line in whole:
            self._take(line)

    def _take(self, raw: bytes) -> None:
        line = raw[:LONGEST_LINE].decode("utf-8", "replace").rstrip()
        if line and not any(quote in line for quote in _QUOTES_REQUESTS):
            # With --verbose, lines for debugging hold whole requests; no failure may tell them.
            if severity(line) != "D":
                self.lines.append(line)
            self._forward(line)


def plain(line: str) -> str:
    """A line without llama-server's time stamp and level."""
    return _STAMP.sub("", line).strip()


def severity(line: str) -> str:
    """llama-server's own level of a line, "D", "I", "W" or "E"; "I" when it has none."""
    match = _STAMP.match(line)
    return match[1] if match else "I"
