"""How an endpoint's answer is written to its client."""

from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, cast

from modelrunner.gateway.http.chunks import LAST, chunk
from modelrunner.gateway.http.render import lines, ours
from modelrunner.gateway.messages import Forward, Outcome, Request, Ticket

if TYPE_CHECKING:
    from modelrunner.gateway.http.answer_head import AnswerHead
    from modelrunner.gateway.http.client import Client
    from modelrunner.gateway.http.waiting import Waiting

TAIL: Final = 4096
_COLLECTED: Final = 64 * 1024
"""Of an error's body that becomes an event."""

_TAIL_KEPT: Final = 2 * TAIL
_NOT_YET: Final = cast("Any", None)


class Relay:
    """The answering half of an exchange.

    `bodiless`: the answer has no body, whatever its head says. `own` is the gateway's own share
    of the time so far, and `mark` when its present share began.
    """

    __slots__ = (
        "_chunked",
        "_collected",
        "_delimited",
        "_last",
        "_prefix",
        "_status",
        "_stream",
        "_tail",
        "_tail_size",
        "bodiless",
        "client",
        "forward",
        "http11",
        "keep_alive",
        "mark",
        "own",
        "request",
        "ticket",
        "waiting",
    )

    def __init__(
        self, client: "Client", request: Request, *, http11: bool, keep_alive: bool
    ) -> None:
        self.mark = perf_counter()
        self.own = 0.0
        self.client = client
        self.request = request
        self.http11 = http11
        self.keep_alive = keep_alive
        self.bodiless = request.method == "HEAD"
        self.waiting: Waiting | None = None
        self.forward: Forward = _NOT_YET
        self.ticket: Ticket = _NOT_YET
        self._prefix = b""
        self._chunked = False
        self._delimited = True
        self._collected: list[bytes] | None = None
        self._tail: list[bytes] | None = None
        self._last = b""

    def connection(self) -> bytes:
        """Whether the client's connection goes on, as a line."""
        if self.client.front.closing:
            self.keep_alive = False
        if self.keep_alive:
            return b"" if self.http11 else b"Connection: keep-alive\r\n"
        return b"Connection: close\r\n"

    def answer_whole(self, head: "AnswerHead", body: bytes | memoryview) -> None:
        """An answer that is here as a whole, and as long as its head says."""
        if self.waiting is not None and self.waiting.opened:
            self.answer_begins(head)
            body = bytes(body)
            self.relay((body,), verbatim=False, ended=True, raw=body)
            return
        self._begin(head.status)
        own = self._head(head, self._length(head))
        if isinstance(body, bytes):
            self.client.transport.write(own + body)
        else:
            self.client.transport.writelines((own, body))
        self._last = bytes(body[-TAIL:])

    def answer_begins(self, head: "AnswerHead") -> None:
        """The head of the answer is here; nothing is tried again from now on."""
        self._begin(head.status)
        self._status = head.status
        self._stream = head.stream
        self._tail = []
        self._tail_size = 0
        if self.waiting is not None and self.waiting.opened:
            self._chunked = self._delimited = self.http11
            self._collected = None if head.status == 200 else []
            self._stream = True
        elif head.length >= 0:
            self._prefix = self._head(head, self._length(head))
        elif self.http11:
            self._chunked = True
            self._prefix = self._head(head, b"Transfer-Encoding: chunked\r\n")
        else:
            self.keep_alive = False
            self._delimited = False
            self._prefix = self._head(head, b"")

    def _begin(self, status: int) -> None:
        self.client.release_body()
        self.request.body = b""
        self.ticket.first_byte(status)

    def _length(self, head: "AnswerHead") -> bytes:
        if head.told is None or head.status == 204:
            return b""
        return b"Content-Length: %b\r\n" % head.told

    def _head(self, head: "AnswerHead", framing: bytes) -> bytes:
        extra = lines(self.forward.extra) if self.forward.extra else b""
        seconds = self.own + perf_counter() - self.mark
        own = ours(self.request.id, seconds)
        return b"".join((head.start, framing, own, extra, self.connection(), b"\r\n"))

    def relay(self, pieces: Sequence[bytes], *, verbatim: bool, ended: bool, raw: bytes) -> None:
        """A part of the body; `raw` is it as it came, `verbatim` that it may be chunks for us."""
        client = self.client
        client.moved = True
        for piece in pieces:
            self._remember(piece)
        if self._collected is not None:
            if sum(map(len, self._collected)) < _COLLECTED:
                self._collected += pieces
            return
        if not self._chunked:
            out = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        elif verbatim:
            out = raw
        else:
            out = chunk(b"".join(pieces))
            if ended:
                out += LAST
        if self._prefix:
            out = self._prefix + out
            self._prefix = b""
        if out:
            client.transport.write(out)

    def relay_chunk(self, raw: bytes, start: int) -> None:
        """One whole chunk as it came, whose payload begins at `start`: an event of a stream.

        Not the first part of an answer: its head is written.
        """
        tail = self._tail
        if tail is None or self._collected is not None or not self._chunked:
            self.relay((raw[start:-2],), verbatim=True, ended=False, raw=raw)
            return
        client = self.client
        client.moved = True
        tail.append(raw[start:-2])
        size = self._tail_size = self._tail_size + len(raw) - start - 2
        if size > _TAIL_KEPT:
            self._shorten(tail)
        client.transport.write(raw)

    def _shorten(self, tail: list[bytes]) -> None:
        """Keep the end only; seldom, for it costs more than to let it grow."""
        end = b"".join(tail)[-TAIL:]
        tail.clear()
        tail.append(end)
        self._tail_size = len(end)

    def flush(self) -> None:
        """Nothing came with the head: the client gets it now."""
        if self._prefix:
            self.client.transport.write(self._prefix)
            self._prefix = b""

    def _remember(self, piece: bytes) -> None:
        tail = self._tail
        if tail is None:
            return
        if len(piece) > TAIL:
            piece = piece[-TAIL:]
        tail.append(piece)
        self._tail_size += len(piece)
        if self._tail_size > _TAIL_KEPT:
            self._shorten(tail)

    def done(self, outcome: Outcome) -> None:
        """Tell the ticket."""
        self.ticket.done(outcome, b"".join(self._tail)[-TAIL:] if self._tail else self._last)

    def end_collected(self) -> None:
        """An endpoint's error within a stream that was opened before: its last event."""
        if self._collected is not None and self.waiting is not None:
            self.waiting.fail(self._status, b"".join(self._collected))

    def end_with_event(self) -> bool:
        """End a broken stream with an event that says so; False where none can be written."""
        event = self.ticket.broken_event() if self._stream else b""
        if not event or not self._chunked:
            return False
        if self._collected is None:
            event = self._gap(event) + event
        self.client.transport.write(self._prefix + chunk(event) + LAST)
        return True

    def _gap(self, event: bytes) -> bytes:
        """What ends a half event, so that the next is read for itself."""
        end = b"".join(self._tail or ())[-4:]
        if not end or end.endswith((b"\n\n", b"\r\n\r\n")):
            return b""
        lines_only = event[:1] == b"{"
        if not lines_only:
            return b"\n\n"
        return b"" if end.endswith(b"\n") else b"\n"
