"""The newest requests of each model and their answers, for whoever looks for what went wrong.

Source: docker/model-runner `pkg/metrics/openai_recorder.go`. Ours keeps a bounded number of bytes,
and what a model was asked stays when it is unloaded: that is when somebody looks.

Headers are not kept, save the names of the program and of the page that asked.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from runnerd.server.proxy import HEARD
from runnerd.standalone.management.recorded import readable, without_media

KEPT: Final = 10
"""Requests that are kept of one model."""

LONGEST: Final = 256 << 10
"""Bytes that are kept of a request's body, and of its answer's."""

_BUDGET: Final = 16 << 20
_LOOKED_AT: Final = 1 << 20
_LISTENERS: Final = 32
_BACKLOG: Final = 100
_LONGEST_HEADER: Final = 300


@dataclass(slots=True)
class Record:
    """One request. `timestamp` is in seconds; the status is 408 until there is an answer."""

    identity: str
    model: str
    method: str
    url: str
    request: bytes
    timestamp: float
    user_agent: str = ""
    origin: str = ""
    status: int = 408
    pieces: list[bytes] = field(default_factory=list)
    size: int = 0

    def hear(self, piece: bytes) -> None:
        """Keep a piece of the answer, as far as there is room."""
        if (room := LONGEST - self.size) > 0:
            self.pieces.append(bytes(piece[:room]))
        self.size += len(piece)

    @property
    def weight(self) -> int:
        """Bytes that it holds."""
        return len(self.request) + min(self.size, LONGEST)

    def told(self) -> dict[str, Any]:
        """As Docker Model Runner tells of it."""
        body = readable(b"".join(self.pieces), cut=max(self.size - LONGEST, 0))
        told: dict[str, Any] = {
            "id": f"{self.identity}_{int(self.timestamp * 1e9)}",
            "model": self.model,
            "method": self.method,
            "url": self.url,
            "request": self.request.decode(errors="replace"),
            "error" if self.status >= 400 else "response": body,
            "timestamp": int(self.timestamp),
            "status_code": self.status,
            "user_agent": self.user_agent,
            "origin": self.origin,
        }
        optional = ("error", "response", "user_agent", "origin")
        return {name: value for name, value in told.items() if value or name not in optional}


class Recorder:
    """Keeps records by a model's identity; when it is off, it costs nothing.

    The last one of a model's records is the newest.
    """

    def __init__(self, *, enabled: bool = True, now: Callable[[], float] = time.time) -> None:
        self.enabled = enabled
        self._now = now
        self._records: dict[str, deque[Record]] = {}
        self._listeners: set[asyncio.Queue[Record]] = set()
        self._held = 0

    @contextmanager
    def recorded(
        self, request: web.BaseRequest, raw: bytes, *, identity: str, model: str
    ) -> Iterator[Callable[[web.StreamResponse], None]]:
        """Record a request while it is answered; the answer is to be handed to what this yields.

        `model` is the name that the client used.
        """
        if not self.enabled:
            yield _unheard
            return
        record = Record(
            identity=identity,
            model=model,
            method=request.method,
            url=request.path,
            request=without_media(raw[:_LOOKED_AT], LONGEST, left=max(len(raw) - _LOOKED_AT, 0)),
            timestamp=self._now(),
            user_agent=request.headers.get("User-Agent", "")[:_LONGEST_HEADER],
            origin=request.headers.get("Origin", "")[:_LONGEST_HEADER],
        )
        request[HEARD] = record.hear

        def answered(response: web.StreamResponse) -> None:
            record.status = response.status
            if isinstance(response, web.Response) and isinstance(response.body, bytes):
                record.hear(response.body)

        try:
            yield answered
        finally:
            self._keep(record)

    def records(self, identity: str) -> list[Record]:
        """What is kept of a model."""
        return list(self._records.get(identity, ()))

    def identities(self) -> list[str]:
        """The models that something is kept of."""
        return list(self._records)

    def forget(self, identity: str) -> None:
        """Keep nothing more of a model that was deleted."""
        for record in self._records.pop(identity, ()):
            self._held -= record.weight

    @contextmanager
    def listening(self) -> Iterator["asyncio.Queue[Record] | None"]:
        """A queue of the records that come from now on; None when too many listen already.

        Who takes too little from it misses some.
        """
        if len(self._listeners) >= _LISTENERS:
            yield None
            return
        queue: asyncio.Queue[Record] = asyncio.Queue(_BACKLOG)
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)

    def _keep(self, record: Record) -> None:
        kept = self._records.setdefault(record.identity, deque())
        kept.append(record)
        self._held += record.weight
        if len(kept) > KEPT:
            self._held -= kept.popleft().weight
        while self._held > _BUDGET:
            self._drop_oldest()
        for queue in self._listeners:
            with suppress(asyncio.QueueFull):
                queue.put_nowait(record)

    def _drop_oldest(self) -> None:
        found = min(
            (one for one in self._records.values() if one), key=lambda one: one[0].timestamp
        )
        oldest = found.popleft()
        self._held -= oldest.weight
        if not found:
            del self._records[oldest.identity]


def _unheard(_: web.StreamResponse) -> None:
    """Nobody keeps it."""
