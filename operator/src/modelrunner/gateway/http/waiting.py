"""A held request: waits for its decision, and keeps a stream's client company."""

import asyncio
import logging
from typing import TYPE_CHECKING

from modelrunner.gateway.http.chunks import LAST, chunk
from modelrunner.gateway.messages import Answer, Forward, Held

if TYPE_CHECKING:
    from modelrunner.gateway.http.exchange import Exchange

_logger = logging.getLogger(__name__)


class Waiting:
    """`opened`: the head of a stream was sent, so what comes now comes as events.

    `pending`: the decision is still to come. No task waits for it.
    """

    __slots__ = ("_chunked", "_exchange", "_held", "_timer", "opened", "pending")

    def __init__(self, exchange: "Exchange", held: Held, *, chunked: bool) -> None:
        self._exchange = exchange
        self._held = held
        self._chunked = chunked
        self._timer: asyncio.TimerHandle | None = None
        self.opened = False
        self.pending = False

    def begin(self, held: Held) -> None:
        """Wait for it; may be called again when the decision led to another wait."""
        self._held = held
        self.pending = True
        if held.stream:
            delay = held.interval if self.opened else held.patience
            self._timer = asyncio.get_running_loop().call_later(delay, self._beat)
        held.decided.add_done_callback(self._decided)

    def stop(self) -> None:
        """Nothing is said any more."""
        self.pending = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def leave(self) -> None:
        """The client has gone."""
        self.stop()
        self._held.leave()

    def fail(self, status: int, body: bytes) -> None:
        """End an opened stream with an error."""
        event = self._held.event(status, body)
        self._exchange.client.transport.write(chunk(event) + LAST if self._chunked else event)

    def _decided(self, decided: "asyncio.Future[Forward | Answer]") -> None:
        if not self.pending:
            return
        self.stop()
        if decided.cancelled():
            self._exchange.lost()
        elif (error := decided.exception()) is not None:
            _logger.error("holding a request failed", exc_info=error)
            self._exchange.lost()
        else:
            self._exchange.decided(decided.result())

    def _beat(self) -> None:
        held = self._held
        if not self.opened:
            self.opened = True
            self._exchange.open_stream(held.media, held.extra or ())
        if held.heartbeat:
            beat = chunk(held.heartbeat) if self._chunked else held.heartbeat
            self._exchange.heartbeat(beat)
        self._timer = asyncio.get_running_loop().call_later(held.interval, self._beat)
