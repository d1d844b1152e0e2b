"""One request and its answer: follows the decisions about it."""

import logging
from collections.abc import Iterable
from time import perf_counter
from typing import TYPE_CHECKING

from modelrunner.gateway.http.relay import Relay
from modelrunner.gateway.http.render import request_head, stream_head, whole_answer
from modelrunner.gateway.http.waiting import Waiting
from modelrunner.gateway.messages import (
    Answer,
    Decision,
    Failure,
    Forward,
    Held,
    Outcome,
    Request,
)

if TYPE_CHECKING:
    import asyncio

    from modelrunner.gateway.http.client import Client
    from modelrunner.gateway.http.head import Head
    from modelrunner.gateway.http.upstream import Upstream

_logger = logging.getLogger(__name__)


class Exchange(Relay):
    """One request of a client until its answer is written or the client has left.

    All methods are called in the loop.
    """

    __slots__ = ("_asked", "_dialing", "_over", "upstream")

    def __init__(self, client: "Client", request: Request, head: "Head") -> None:
        super().__init__(client, request, http11=head.http11, keep_alive=head.keep_alive)
        self.upstream: Upstream | None = None
        self._asked = head
        self._over = False
        self._dialing: asyncio.Task[None] | None = None
        client.front.in_flight += 1

    # Decisions.

    def start(self) -> None:
        """Ask what to do, and do it."""
        try:
            decision = self.client.front.decider.decide(self.request)
        except Exception:
            _logger.exception("deciding failed")
            decision = self._refusal(500, "internal_error", "The gateway failed: see its log")
        self.follow(decision)

    def follow(self, decision: Decision) -> None:
        """Do what was decided."""
        if isinstance(decision, Forward):
            self.forward = decision
            self.ticket = decision.ticket
            upstream = self.client.front.pool.take(decision.endpoint)
            if upstream is None:
                self._dial(decision)
            else:
                self._send(decision, upstream)
        elif isinstance(decision, Answer):
            self._answer(decision)
        else:
            self._wait(decision)

    def _refusal(self, status: int, code: str, message: str) -> Answer:
        return self.client.front.decider.refuse(self.request.path, status, code, message)

    # Held.

    def _wait(self, held: Held) -> None:
        self.own += perf_counter() - self.mark
        self.client.rest()
        if self.waiting is None:
            self.waiting = Waiting(self, held, chunked=self.http11)
        self.waiting.begin(held)

    def decided(self, decision: Forward | Answer) -> None:
        """The wait is over."""
        self.mark = perf_counter()
        self.follow(decision)

    def lost(self) -> None:
        """The wait ended without a decision."""
        self.mark = perf_counter()
        self._answer(self._refusal(503, "overloaded", "The request could not be held any longer"))

    def open_stream(self, media: bytes, extra: Iterable[tuple[bytes, bytes]]) -> None:
        """The head of a stream of this type, before anything is known of the answer."""
        if not self.http11:
            self.keep_alive = False
        front = self.client.front
        head = stream_head(
            media=media,
            identity=self.request.id,
            date=front.date,
            connection=self.connection(),
            chunked=self.http11,
            waited=front.loop.time() - self.request.received_at,
            extra=extra,
        )
        self.client.transport.write(head)

    def heartbeat(self, data: bytes) -> None:
        """Into an opened stream; a client that does not read gets no more of them."""
        if not self.client.paused:
            self.client.transport.write(data)

    # To the endpoint.

    def _dial(self, forward: Forward) -> None:
        self._dialing = self.client.front.loop.create_task(self._dial_and_send(forward))

    async def _dial_and_send(self, forward: Forward) -> None:
        pool = self.client.front.pool
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
        self.upstream = upstream
        head = request_head(self.request, self._asked, forward)
        self.client.expect_answer()
        self.own += perf_counter() - self.mark
        upstream.send(self, head, self.request.body)

    def reset(self, *, again: bool) -> None:
        """The connection ended before an answer; a spare one may just have been too old."""
        self.upstream = None
        self.mark = perf_counter()
        if again:
            self._dial(self.forward)
        else:
            self.failed(Failure.RESET)

    def failed(self, failure: Failure) -> None:
        """No answer, and the client has seen nothing."""
        self.upstream = None
        self.mark = perf_counter()
        try:
            decision = self.ticket.failed(failure)
        except Exception:
            _logger.exception("deciding failed")
            decision = self._refusal(502, "internal_error", "The gateway failed: see its log")
        self.follow(decision)

    def expired(self) -> None:
        """The endpoint has sent nothing for too long."""
        upstream = self.upstream
        if upstream is None:
            return
        began = upstream.began
        upstream.close()
        if began:
            self.broken()
        else:
            self.failed(Failure.TIMEOUT)

    # Ends.

    def _answer(self, answer: Answer) -> None:
        if self.waiting is not None and self.waiting.opened:
            self.waiting.fail(answer.status, answer.body)
        else:
            whole = whole_answer(
                answer,
                identity=self.request.id,
                date=self.client.front.date,
                seconds=self.own + perf_counter() - self.mark,
                connection=self.connection(),
                bodiless=self.bodiless,
            )
            self.client.transport.write(whole)
        self._finish()

    def completed(self) -> None:
        """The endpoint's answer has ended as it should."""
        self.upstream = None
        self.done(Outcome.COMPLETE)
        self.end_collected()
        self._finish()

    def broken(self) -> None:
        """The endpoint broke off within its answer: nobody may take that for whole."""
        self.upstream = None
        self.done(Outcome.BROKEN_OFF)
        if self.end_with_event():
            self._finish()
            return
        self.flush()
        self._over = True
        self.client.front.in_flight -= 1
        self.client.exchange = None
        # Where only the end of the connection ends the body, it must not look like one.
        self.client.abort(reset=not self._delimited)

    def client_left(self) -> None:
        """The client's connection has ended."""
        if self._over:
            return
        self._over = True
        self.client.front.in_flight -= 1
        if self.waiting is not None and self.waiting.pending:
            self.waiting.leave()
        else:
            upstream, self.upstream = self.upstream, None
            if upstream is not None:
                upstream.close()
            self.done(Outcome.CLIENT_LEFT)

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
        self.client.front.in_flight -= 1
        if self.waiting is not None:
            self.waiting.stop()
        self.client.finished(keep=self.keep_alive)
