"""One request and its answer: follows the decisions, relays the answer."""

import logging
from collections import deque
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Final, cast

from modelrunner.gateway.http.answer_head import AnswerHead
from modelrunner.gateway.http.chunks import LAST, chunk
from modelrunner.gateway.http.render import (
    answer_head,
    lines,
    request_head,
    stream_head,
    whole_answer,
)
from modelrunner.gateway.http.waiting import Waiting
from modelrunner.gateway.messages import (
    Answer,
    Decision,
    Failure,
    Forward,
    Held,
    Outcome,
    Request,
    Ticket,
)

if TYPE_CHECKING:
    import asyncio

    from modelrunner.gateway.http.client import Client
    from modelrunner.gateway.http.upstream import Upstream

_TAIL: Final = 4096
_COLLECTED: Final = 64 * 1024
"""Of an error's body that becomes an event."""

_logger = logging.getLogger(__name__)


class Exchange:
    """One request of a client until its answer is written or the client has left.

    `bodiless`: the answer has no body, whatever its head says. All methods are called in the loop.
    """

    __slots__ = (
        "_began",
        "_chunked",
        "_client",
        "_collected",
        "_forward",
        "_http11",
        "_keep_alive",
        "_mark",
        "_over",
        "_own",
        "_prefix",
        "_status",
        "_stream",
        "_tail",
        "_tail_size",
        "_task",
        "_ticket",
        "_waiting",
        "bodiless",
        "request",
        "upstream",
    )

    def __init__(
        self, client: "Client", request: Request, *, http11: bool, keep_alive: bool
    ) -> None:
        self._client = client
        self.request = request
        self._http11 = http11
        self._keep_alive = keep_alive
        self.bodiless = request.method == "HEAD"
        self.upstream: Upstream | None = None
        self._forward: Forward | None = None
        self._ticket = cast("Ticket", None)
        self._waiting: Waiting | None = None
        self._task: asyncio.Task[None] | None = None
        self._mark = perf_counter()
        self._own = 0.0
        client.front.in_flight += 1
        self._prefix = b""
        self._chunked = False
        self._collected: list[bytes] | None = None
        self._stream = False
        self._status = 0
        self._began = False
        self._over = False
        self._tail: deque[bytes] | None = None
        self._tail_size = 0

    # Decisions.

    def start(self) -> None:
        """Ask what to do, and do it."""
        try:
            decision = self._client.front.decider.decide(self.request)
        except Exception:
            _logger.exception("deciding failed")
            decision = self._refusal(500, "internal_error", "The gateway failed: see its log")
        self.follow(decision)

    def follow(self, decision: Decision) -> None:
        """Do what was decided."""
        if isinstance(decision, Forward):
            self._forward_to(decision)
        elif isinstance(decision, Answer):
            self._answer(decision)
        else:
            self._wait(decision)

    def _refusal(self, status: int, code: str, message: str) -> Answer:
        return self._client.front.decider.refuse(self.request.path, status, code, message)

    def _wait(self, held: Held) -> None:
        self._own += perf_counter() - self._mark
        self._client.rest()
        if self._waiting is None:
            self._waiting = Waiting(self, held, chunked=self._http11)
        self._waiting.begin(held)

    def decided(self, decision: Forward | Answer) -> None:
        """The wait is over."""
        self._mark = perf_counter()
        self.follow(decision)

    def lost(self) -> None:
        """The wait ended without a decision."""
        self._mark = perf_counter()
        self._answer(self._refusal(503, "overloaded", "The request could not be held any longer"))

    def open_stream(self) -> None:
        """The head of an event stream, before anything is known of the answer."""
        if not self._http11:
            self._keep_alive = False
        front = self._client.front
        self._client.transport.write(
            stream_head(
                identity=self.request.id,
                date=front.date,
                connection=self._connection(),
                chunked=self._http11,
            )
        )

    def write(self, data: bytes) -> None:
        """Into an opened stream; a client that does not read gets no more of it."""
        if not self._client.paused or not self._waiting or not self._waiting.pending:
            self._client.transport.write(data)

    # To the endpoint.

    def _forward_to(self, forward: Forward) -> None:
        self._forward = forward
        self._ticket = forward.ticket
        upstream = self._client.front.pool.take(forward.endpoint)
        if upstream is None:
            self._dial(forward)
        else:
            self._send(forward, upstream)

    def _dial(self, forward: Forward) -> None:
        self._task = self._client.front.loop.create_task(self._dial_and_send(forward))

    async def _dial_and_send(self, forward: Forward) -> None:
        pool = self._client.front.pool
        try:
            upstream = await pool.dial(forward.endpoint)
        except OSError:
            if not self._over:
                self.failed(Failure.UNREACHABLE)
            return
        if self._over:
            pool.give(upstream)
        else:
            self._send(forward, upstream)

    def _send(self, forward: Forward, upstream: "Upstream") -> None:
        request = self.request
        self.upstream = upstream
        head = request_head(request, forward.path or request.path, forward.endpoint)
        self._client.expect_answer()
        self._own += perf_counter() - self._mark
        upstream.send(self, head, request.body)

    def reset(self, *, again: bool) -> None:
        """The connection ended before an answer; a spare one may just have been too old."""
        self.upstream = None
        self._mark = perf_counter()
        if again and self._forward is not None:
            self._dial(self._forward)
        else:
            self.failed(Failure.RESET)

    def failed(self, failure: Failure) -> None:
        """No answer, and the client has seen nothing."""
        self.upstream = None
        self._mark = perf_counter()
        try:
            decision = self._ticket.failed(failure)
        except Exception:
            _logger.exception("deciding failed")
            decision = self._refusal(502, "internal_error", "The gateway failed: see its log")
        self.follow(decision)

    # To the client.

    def _answer(self, answer: Answer) -> None:
        if self._waiting is not None and self._waiting.opened:
            self._waiting.fail(answer.status, answer.body)
            self._finish()
            return
        seconds = self._own + perf_counter() - self._mark
        front = self._client.front
        self._client.transport.write(
            whole_answer(
                answer,
                identity=self.request.id,
                date=front.date,
                seconds=seconds,
                connection=self._connection(),
                bodiless=self.bodiless,
            )
        )
        self._finish()

    def _connection(self) -> bytes:
        if self._client.front.closing:
            self._keep_alive = False
        if self._keep_alive:
            return b"" if self._http11 else b"Connection: keep-alive\r\n"
        return b"Connection: close\r\n"

    def answer_comes(self) -> None:
        """The first bytes of an answer are here."""
        self._mark = perf_counter()

    def answer_begins(self, head: AnswerHead) -> None:
        """The head of the answer is here; nothing is tried again from now on."""
        self._began = True
        self._client.body_is_done()
        self.request.body = b""
        self._ticket.first_byte(head.status)
        self._status = head.status
        self._stream = head.stream
        if self._waiting is not None and self._waiting.opened:
            self._chunked = self._http11
            self._collected = None if head.status == 200 else []
            self._stream = True
            return
        framing = self._framing(head)
        forward = self._forward
        extra = lines(forward.extra) if forward and forward.extra else b""
        seconds = self._own + perf_counter() - self._mark
        self._prefix = answer_head(
            head, framing + self._connection(), self.request.id, seconds, extra
        )

    def _framing(self, head: AnswerHead) -> bytes:
        if head.length >= 0:
            told = head.told if head.status != 204 else None
            return b"Content-Length: %b\r\n" % told if told is not None else b""
        if self._http11:
            self._chunked = True
            return b"Transfer-Encoding: chunked\r\n"
        self._keep_alive = False
        return b""

    def relay(self, pieces: Sequence[bytes], *, verbatim: bool, ended: bool, raw: bytes) -> None:
        """A part of the answer's body; `raw` is it as it came, `verbatim` that it may be sent so."""
        self._client.moved = True
        for piece in pieces:
            self._remember(piece)
        if self._collected is not None:
            if sum(map(len, self._collected)) < _COLLECTED:
                self._collected += pieces
            return
        if self._chunked:
            if verbatim:
                out = raw
            else:
                out = chunk(b"".join(pieces))
                if ended:
                    out += LAST
        else:
            out = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self._prefix:
            out = self._prefix + out
            self._prefix = b""
        if out:
            self._client.transport.write(out)

    def flush(self) -> None:
        """Nothing came with the head: the client gets it now."""
        if self._prefix:
            self._client.transport.write(self._prefix)
            self._prefix = b""

    def _remember(self, piece: bytes) -> None:
        tail = self._tail
        if tail is None:
            tail = self._tail = deque()
        if len(piece) > _TAIL:
            piece = piece[-_TAIL:]
        tail.append(piece)
        self._tail_size += len(piece)
        while self._tail_size - len(tail[0]) >= _TAIL:
            self._tail_size -= len(tail.popleft())

    def _last_bytes(self) -> bytes:
        return b"".join(self._tail)[-_TAIL:] if self._tail else b""

    def completed(self) -> None:
        """The answer has ended as it should."""
        self.upstream = None
        self._ticket.done(Outcome.COMPLETE, self._last_bytes())
        if self._collected is not None and self._waiting is not None:
            self._waiting.fail(self._status, b"".join(self._collected))
        self._finish()

    def broken(self) -> None:
        """The endpoint broke off within its answer: nobody may take that for whole."""
        self.upstream = None
        ticket = self._ticket
        ticket.done(Outcome.BROKEN_OFF, self._last_bytes())
        event = ticket.broken_event() if self._stream else b""
        transport = self._client.transport
        if event and self._chunked:
            gap = self._gap(event)
            transport.write(self._prefix + chunk(gap + event) + LAST)
            self._finish()
            return
        self._over = True
        # The end of a connection would be the end of the body for who knows no other.
        self._client.abort(reset=not self._chunked)

    def _gap(self, event: bytes) -> bytes:
        """What ends a half event, so that the next is read for itself."""
        tail = self._last_bytes()
        if not tail or tail.endswith((b"\n\n", b"\r\n\r\n")):
            return b""
        return b"\n" if tail.endswith(b"\n") or event[:1] == b"{" else b"\n\n"

    def client_left(self) -> None:
        """The client's connection has ended."""
        if self._over:
            return
        self._over = True
        self._client.front.in_flight -= 1
        if self._waiting is not None and self._waiting.pending:
            self._waiting.leave()
        elif self._forward is not None:
            upstream, self.upstream = self.upstream, None
            if upstream is not None:
                upstream.close()
            self._ticket.done(Outcome.CLIENT_LEFT, self._last_bytes())

    def expired(self) -> None:
        """The endpoint has sent nothing for too long."""
        upstream = self.upstream
        if upstream is None:
            return
        upstream.close()
        if self._began:
            self.broken()
        else:
            self.failed(Failure.TIMEOUT)

    def pause(self) -> None:
        """The client reads slowly."""
        if self.upstream is not None:
            self.upstream.transport.pause_reading()

    def resume(self) -> None:
        """The client has caught up."""
        if self.upstream is not None:
            self.upstream.transport.resume_reading()

    def _finish(self) -> None:
        self._over = True
        self._client.front.in_flight -= 1
        if self._waiting is not None:
            self._waiting.stop()
        self._client.finished(keep=self._keep_alive)
