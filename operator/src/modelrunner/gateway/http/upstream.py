"""One connection to an endpoint, and the answer that comes on it."""

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Final, cast

from modelrunner.gateway.http.answer_head import (
    CHUNKED,
    UNTIL_CLOSE,
    AnswerHead,
    BadAnswer,
    HeadReader,
)
from modelrunner.gateway.http.chunks import Chunks
from modelrunner.gateway.messages import Endpoint, Failure

if TYPE_CHECKING:
    from modelrunner.gateway.http.exchange import Exchange
    from modelrunner.gateway.http.pool import Pool

_COPIED: Final = 8 * 1024
"""Up to here, to copy a body is cheaper than to write in two parts."""

_SLICE: Final = 256 * 1024
"""Of a large body, what is given to the transport at once."""


class Upstream(asyncio.Protocol):
    """Sends one request at a time, and tells its exchange of the answer as it comes."""

    __slots__ = (
        "_body",
        "_chunks",
        "_head",
        "_left",
        "_reader",
        "_start",
        "endpoint",
        "exchange",
        "idle_since",
        "paused",
        "pool",
        "transport",
        "used",
    )

    def __init__(self, pool: "Pool", endpoint: Endpoint) -> None:
        self.pool = pool
        self.endpoint = endpoint
        self.transport = cast("asyncio.Transport", None)
        self.exchange: Exchange | None = None
        self.idle_since = 0.0
        self.used = False
        self.paused = False
        self._reader = HeadReader()
        self._head: AnswerHead | None = None
        self._start = b""
        self._left = 0
        self._chunks: Chunks | None = None
        self._body: memoryview | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol."""
        self.transport = cast("asyncio.Transport", transport)
        self.pool.opened(self.endpoint)

    @property
    def began(self) -> bool:
        """The head of an answer is here."""
        return self._head is not None

    @property
    def usable(self) -> bool:
        """It is open, as far as is known."""
        return not self.transport.is_closing()

    def send(self, exchange: "Exchange", head: bytes, body: bytes) -> None:
        """Begin an exchange; its answer comes in by itself."""
        self.exchange = exchange
        self._head = None
        size = len(body)
        if size <= _COPIED:
            self.transport.write(head + body if body else head)
        elif size <= _SLICE:
            self.transport.writelines((head, body))
        else:
            self.transport.write(head)
            self._body = memoryview(body)
            self._send_on()

    def _send_on(self) -> None:
        while self._body is not None and not self.paused:
            part, self._body = self._body[:_SLICE], self._body[_SLICE:] or None
            self.transport.write(part)

    def pause_writing(self) -> None:
        """Part of asyncio.Protocol: the endpoint takes the body slowly."""
        self.paused = True

    def resume_writing(self) -> None:
        """Part of asyncio.Protocol."""
        self.paused = False
        self._send_on()

    def close(self) -> None:
        """End it without waiting for anything."""
        self._body = None
        self.exchange = None
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        exchange = self.exchange
        if exchange is None:
            self.close()  # Nobody asked for this.
        elif self._head is None:
            self._receive_head(exchange, data)
        elif self._chunks is not None and (start := self._chunks.whole(data)):
            exchange.relay_chunk(data, start)
        else:
            self._receive_body(exchange, data)

    def _receive_head(self, exchange: "Exchange", data: bytes) -> None:
        exchange.mark = perf_counter()
        if self._start:
            data = self._start + data
            self._start = b""
        try:
            found = self._reader.read(data, bodiless=exchange.bodiless)
            while found is not None and found[0].status < 200:
                data = data[found[1] :]
                found = self._reader.read(data, bodiless=exchange.bodiless)
        except BadAnswer:
            self._fail(exchange, Failure.MALFORMED)
            return
        if found is None:
            self._start = data
            return
        head, end = found
        if head.draining:
            self._fail(exchange, Failure.DRAINING)
            return
        self._head = head
        length = head.length
        if length == len(data) - end:
            # The usual case for what is not a stream: all in one piece.
            body = data[end:] if length <= _COPIED else memoryview(data)[end:]
            exchange.answer_whole(head, body)
            self._end(exchange, clean=True)
        elif length == 0:
            exchange.answer_whole(head, b"")
            self._end(exchange, clean=False)
        else:
            self._left = length
            self._chunks = Chunks() if length == CHUNKED else None
            exchange.answer_begins(head)
            if len(data) > end:
                self._receive_body(exchange, data[end:])
            else:
                exchange.flush()

    def _receive_body(self, exchange: "Exchange", data: bytes) -> None:
        if self._chunks is not None:
            self._receive_chunks(exchange, self._chunks, data)
        elif self._left == UNTIL_CLOSE:
            exchange.relay((data,), verbatim=False, ended=False, raw=data)
        elif len(data) < self._left:
            self._left -= len(data)
            exchange.relay((data,), verbatim=False, ended=False, raw=data)
        else:
            clean = len(data) == self._left
            part = data if clean else data[: self._left]
            exchange.relay((part,), verbatim=False, ended=True, raw=part)
            self._end(exchange, clean=clean)

    def _receive_chunks(self, exchange: "Exchange", chunks: Chunks, data: bytes) -> None:
        pieces = chunks.feed(data)
        if chunks.malformed:
            exchange.relay(pieces, verbatim=False, ended=False, raw=data)
            self.close()
            exchange.broken()
            return
        ended = chunks.ended
        exchange.relay(pieces, verbatim=chunks.verbatim, ended=ended, raw=data)
        if ended:
            self._chunks = None
            self._end(exchange, clean=not chunks.rest)

    def _end(self, exchange: "Exchange", *, clean: bool) -> None:
        head = self._head
        self.exchange = None
        self._head = None
        if clean and head is not None and head.keep_alive and self._may_be_kept():
            self.pool.give(self)
        else:
            self.close()
        exchange.completed()

    def _may_be_kept(self) -> bool:
        if self._body is not None or self.paused or self.transport.is_closing():
            return False
        if not self.transport.is_reading():
            self.transport.resume_reading()
        return True

    def _fail(self, exchange: "Exchange", failure: Failure) -> None:
        self.close()
        exchange.failed(failure)

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of asyncio.Protocol."""
        self.pool.closed(self)
        exchange, self.exchange = self.exchange, None
        self._body = None
        if exchange is None:
            return
        if self._head is None:
            if self._start:
                exchange.failed(Failure.MALFORMED)
            else:
                exchange.reset(again=self.used)
        elif self._left == UNTIL_CLOSE and exc is None:
            exchange.relay((), verbatim=False, ended=True, raw=b"")
            exchange.completed()
        else:
            exchange.broken()
