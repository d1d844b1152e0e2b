"""GET /logs: the server's newest log lines and its engines', and those to come.

Docker Model Runner reads files; here the lines that also go to standard output are kept in memory,
as they are: a JSON object each.

Source: docker/model-runner `pkg/logs/http_handler.go`.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from aiohttp import web

from runnerd.logs import JsonFormatter
from runnerd.server import answers
from runnerd.server.dialects import Dialect, reject
from runnerd.standalone.pages import Page, RefusedError

MOST_LINES: Final = 5000
_MOST_CHARACTERS: Final = 2_000_000
_FOLLOWERS: Final = 16
_BATCH: Final = 1 << 16
_TRUE: Final = frozenset({"1", "t", "true"})
_FALSE: Final = frozenset({"", "0", "f", "false"})
# What `Supervisor` passes on of its engine's output.
_ENGINE: Final = ("runnerd.engines.supervisor", "engine")


class LogTail(logging.Handler):
    """Keeps the newest lines. It is called from any thread, and read in the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self._lines: deque[tuple[bool, str]] = deque()
        self._characters = 0
        self._next = 0
        self._followers: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line; the handler's own lock is held."""
        line = self.format(record)
        is_engine = (record.name, record.msg) == _ENGINE
        self._lines.append((is_engine, line))
        self._characters += len(line)
        self._next += 1
        while len(self._lines) > MOST_LINES or self._characters > _MOST_CHARACTERS:
            self._characters -= len(self._lines.popleft()[1])
        for loop, event in self._followers:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    def since(self, position: int, *, engines: bool) -> tuple[list[str], int]:
        """The lines from `position` on that are still there, and the position after them."""
        self.acquire()
        try:
            first = self._next - len(self._lines)
            found = list(self._lines)[max(position - first, 0) :]
            return [line for is_engine, line in found if engines or not is_engine], self._next
        finally:
            self.release()

    @contextmanager
    def following(self) -> Iterator[asyncio.Event | None]:
        """An event that is set when there are new lines; None when too many follow already."""
        if len(self._followers) >= _FOLLOWERS:
            yield None
            return
        follower = (asyncio.get_running_loop(), asyncio.Event())
        self._followers = self._followers | {follower}
        try:
            yield follower[1]
        finally:
            self._followers = self._followers - {follower}


class Logs:
    """The page of them; without a tail it says that there is none."""

    def __init__(self, tail: LogTail | None) -> None:
        self._tail = tail

    def pages(self) -> tuple[Page, ...]:
        """What is answered here."""
        return (Page("/logs", {"GET": self._logs}, Dialect.DOCKER),)

    async def _logs(self, request: web.BaseRequest, _: Mapping[str, str]) -> web.StreamResponse:
        tail = self._tail
        follow, engines = _flag(request, "follow"), not _flag(request, "no-engines")
        if tail is None:
            raise RefusedError(reject(501, "logs are not kept here: see standard output"))
        headers = {"Server": answers.SERVER, "Cache-Control": "no-cache"}
        response = web.StreamResponse(headers=headers)
        response.content_type = "text/plain"
        if not follow or request.method == "HEAD":
            await response.prepare(request)
            lines = tail.since(0, engines=engines)[0] if request.method == "GET" else []
            await _write(response, lines)
            await response.write_eof()
            return response
        with tail.following() as news:
            if news is None:
                raise RefusedError(reject(503, "too many follow the logs already"), 10)
            await response.prepare(request)
            await _follow(response, tail, news, engines=engines)
        return response


async def _follow(
    response: web.StreamResponse, tail: LogTail, news: asyncio.Event, *, engines: bool
) -> None:
    """Write until the client leaves, which cancels this."""
    position = 0
    while True:
        news.clear()
        lines, position = tail.since(position, engines=engines)
        await _write(response, lines)
        await news.wait()


async def _write(response: web.StreamResponse, lines: list[str]) -> None:
    batch: list[str] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if size >= _BATCH:
            await response.write("\n".join([*batch, ""]).encode(errors="replace"))
            batch, size = [], 0
    if batch:
        await response.write("\n".join([*batch, ""]).encode(errors="replace"))


def _flag(request: web.BaseRequest, name: str) -> bool:
    text = request.query.get(name, "").lower()
    if text not in _TRUE | _FALSE:
        raise RefusedError(reject(400, f"invalid {name} parameter: {text[:40]!r} is not a boolean"))
    return text in _TRUE
