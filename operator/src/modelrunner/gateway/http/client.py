"""One client's connection: requests in, answers out, in order."""

import asyncio
import socket
import struct
from fcntl import ioctl
from math import inf
from termios import TIOCOUTQ
from typing import TYPE_CHECKING, Final, cast

from modelrunner.gateway.http.exchange import Exchange
from modelrunner.gateway.http.reader import Reader
from modelrunner.gateway.http.refusal import Refused
from modelrunner.gateway.http.render import whole_answer
from modelrunner.gateway.messages import Request

if TYPE_CHECKING:
    from modelrunner.gateway.http.front import Front
    from modelrunner.gateway.http.head import Head

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_NO_LINGER: Final = struct.pack("ii", 1, 0)
_INT: Final = struct.Struct("i")


class Client(asyncio.Protocol):
    """Reads a request, has it answered, reads the next. What comes early waits unread.

    `deadline` is when the sweep looks after it; `patience` is by how much `moved` (something was
    received) puts that off. `paused`: the client does not take what is written.
    """

    __slots__ = (
        "_closing",
        "_held_back",
        "_pending",
        "_reader",
        "_taking",
        "_told_to_continue",
        "_unsent",
        "address",
        "deadline",
        "exchange",
        "front",
        "moved",
        "patience",
        "paused",
        "transport",
    )

    def __init__(self, front: "Front") -> None:
        self.front = front
        self.transport = cast("asyncio.Transport", None)
        self.address = ""
        self.exchange: Exchange | None = None
        self.deadline = inf
        self.patience = 0.0
        self.moved = False
        self.paused = False
        self._reader = Reader(front.settings, front.ledger)
        self._pending = b""
        self._held_back = False
        self._taking = False
        self._told_to_continue = False
        self._closing = False
        self._unsent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol."""
        self.transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.address = peer[0] if isinstance(peer, tuple) else ""
        self.deadline = self.front.now + self.front.settings.idle_timeout
        if not self.front.admit(self) and not self.transport.is_closing():
            self._refuse(
                Refused(
                    503,
                    "overloaded",
                    "This gateway has as many connections as it may",
                    [(b"retry-after", b"1")],
                )
            )

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        if self._closing:
            return
        if self.exchange is None and not self.paused:
            self._take(self._pending + data if self._pending else data)
            return
        self._pending += data
        if len(self._pending) > self.front.settings.pipeline_limit:
            self._held_back = True
            self.transport.pause_reading()

    def _take(self, data: bytes) -> None:
        """Read requests until one is not answered at once."""
        self._taking = True
        self._pending = b""
        reader = self._reader
        try:
            while data:
                head = reader.feed(data)
                if head is None:
                    self._wait_for_more()
                    data = b""
                    break
                self._pending = data = reader.rest
                self._begin(head)
                if self.exchange is not None or self.paused or self._closing:
                    break
        except Refused as refused:
            data = b""
            self._refuse(refused)
        self._pending = b"" if self._closing else data
        self._taking = False

    def _begin(self, head: "Head") -> None:
        front = self.front
        request = Request(
            head.method,
            head.path,
            head.query,
            head.headers.copy(),
            self._reader.body,
            head.id or front.new_id(),
            self.address,
            front.loop.time(),
        )
        self._told_to_continue = False
        self.patience = 0.0
        self.exchange = exchange = Exchange(self, request, head)
        exchange.start()

    def _wait_for_more(self) -> None:
        settings = self.front.settings
        if self._reader.head is None:
            if self.patience != settings.header_timeout:
                self.patience = settings.header_timeout
                self.deadline = self.front.now + settings.header_timeout
            return
        self.patience = settings.body_timeout
        self.deadline = self.front.now + settings.body_timeout
        if self._reader.waits_for_leave and not self._told_to_continue:
            self._told_to_continue = True
            self.transport.write(_CONTINUE)

    @property
    def waiting_bytes(self) -> int:
        """What the client has sent ahead of its answers."""
        return len(self._pending)

    # What the exchange asks.

    def rest(self) -> None:
        """The request is held: whoever holds it knows for how long."""
        self.deadline = inf
        self.patience = 0.0

    def expect_answer(self) -> None:
        """The request is being sent to an endpoint."""
        self.patience = self.front.settings.first_byte_timeout
        self.deadline = self.front.now + self.patience

    def release_body(self) -> None:
        """The request's body is not needed any more."""
        self._reader.release()

    def finished(self, *, keep: bool) -> None:
        """The answer is written."""
        self.exchange = None
        self._reader.release()
        if not keep:
            self._close(linger=bool(self._pending))
            return
        self.patience = 0.0
        self.moved = False
        self.deadline = self.front.now + self.front.settings.idle_timeout
        if self._held_back:
            self._held_back = False
            self.transport.resume_reading()
        if self._pending and not self._taking and not self.paused:
            self._take(self._pending)

    def abort(self, *, reset: bool) -> None:
        """Break off, so that nobody takes what was written for whole."""
        self._closing = True
        if reset:
            connection = self.transport.get_extra_info("socket")
            if connection is not None and connection.family != socket.AF_UNIX:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self.transport.abort()
        else:
            self._close(linger=False)

    # The end.

    def _refuse(self, refused: Refused) -> None:
        """Answer what is no request, and read no further."""
        front = self.front
        answer = front.decider.refuse(
            self._reader.path, refused.status, refused.code, refused.message
        )
        answer.headers = [*answer.headers, *refused.headers]
        head = self._reader.head
        self.transport.write(
            whole_answer(
                answer,
                identity=(head.id if head else b"") or front.new_id(),
                date=front.date,
                seconds=0.0,
                connection=b"Connection: close\r\n",
                bodiless=head is not None and head.method == "HEAD",
            )
        )
        self._reader.release()
        self._close(linger=True)

    def _close(self, *, linger: bool) -> None:
        """Close when all is written. Lingering: an answer is lost if its client is still sending."""
        self._closing = True
        self._pending = b""
        self.moved = False
        self.patience = 0.0
        settings = self.front.settings
        if linger and not self.transport.is_closing():
            self.deadline = self.front.now + settings.linger_timeout
            self.transport.write_eof()
            if self._held_back:
                self.transport.resume_reading()
        else:
            self.deadline = self.front.now + settings.stall_timeout
            self.transport.close()

    def eof_received(self) -> None:
        """Part of asyncio.Protocol: the client has ended its direction, and so will we.

        Who closes looks just like who only says no more, so both are taken for leaving (as nginx
        does): an engine that works for nobody costs more than the rare client of the other kind.
        """
        self._left()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Part of asyncio.Protocol."""
        self.front.discard(self)
        self._left()

    def _left(self) -> None:
        self._closing = True
        self._reader.release()
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.client_left()

    # Backpressure and time.

    def pause_writing(self) -> None:
        """Part of asyncio.Protocol: the client reads more slowly than its answer comes."""
        self.paused = True
        self._unsent = _unsent(self.transport)
        self.deadline = self.front.now + self.front.settings.stall_timeout
        if self.exchange is not None:
            self.exchange.pause()

    def resume_writing(self) -> None:
        """Part of asyncio.Protocol."""
        self.paused = False
        if self.exchange is not None:
            self.deadline = self.front.now + self.patience if self.patience else inf
            self.exchange.resume()
        elif self._pending and not self._closing and not self._taking:
            self._take(self._pending)

    def sweep(self, now: float) -> None:
        """Called once in a while."""
        if self.paused or self._closing:
            unsent = _unsent(self.transport)
            if unsent < self._unsent:
                self.deadline = now + self.front.settings.stall_timeout
            self._unsent = unsent
        elif self.moved:
            self.moved = False
            if self.patience:
                self.deadline = now + self.patience
        if self.deadline <= now:
            self._expired()

    def _expired(self) -> None:
        if self.paused or self._closing or self.transport.get_write_buffer_size():
            self.transport.abort()
        elif self.exchange is not None:
            self.exchange.expired()
        elif not self.patience:
            self._close(linger=False)
        else:
            self._refuse(Refused(408, "request_timeout", "The request did not arrive in time"))

    def close_if_idle(self) -> None:
        """The front is ending: nothing of this client is under way."""
        if self.exchange is None and not self._closing and not self.patience:
            self._close(linger=False)


def _unsent(transport: asyncio.Transport) -> int:
    """Bytes that the client has not taken: ours, and the kernel's that it has not acknowledged."""
    size: int = transport.get_write_buffer_size()
    connection = transport.get_extra_info("socket")
    try:
        (queued,) = _INT.unpack(ioctl(connection.fileno(), TIOCOUTQ, bytes(_INT.size)))
    except OSError:
        return size  # It is closed already.
    return size + int(queued)
