"""What the parts of the gateway say to one another. No I/O.

The HTTP front (`http/`) knows bytes and connections, nothing about models; a `Decider`
(`routing/`) knows models, nothing about bytes. One request between them:

    front: a whole Request is there ──▶ Decider.decide ──▶ Answer    the front writes it
                                                        ├▶ Forward   the front proxies it
                                                        └▶ Held      the front waits for its future
    front: nothing of the answer reached the client ──▶ Ticket.failed ──▶ the next decision
    front: the answer begins, ends                  ──▶ Ticket.first_byte, Ticket.done

`decide`, `failed`, `first_byte` and `done` are plain calls: on the warm path no task is made.
"""

from abc import ABC, abstractmethod
from asyncio import Future
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

Headers = list[tuple[bytes, bytes]]
"""Names in lower case, values without surrounding white space, in the order of the wire."""


@dataclass(slots=True, eq=False)
class Request:
    """A request whose head and body are here as a whole.

    `path` is as the client wrote it (percent-encoding kept), without the query, and with runs of
    slashes as one; `query` has no "?". `id` is the client's X-Request-Id where that is well formed, else ours.
    `received_at` is the loop's clock when the head was complete.
    """

    method: str
    path: str
    query: bytes
    headers: Headers
    body: bytes
    id: bytes
    client: str
    received_at: float

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, by its lower-case name."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


@dataclass(slots=True, eq=False)
class Answer:
    """A whole answer of our own. The front adds Content-Length, Date, Server and X-Request-Id.

    `code` is the word for programs that the body carries, for the access log and metrics.
    """

    status: int
    body: bytes
    headers: Headers = field(default_factory=list)
    code: str = ""


@dataclass(slots=True, eq=False)
class Endpoint:
    """Somewhere a request can be sent: a runner pod, or our own back office on a Unix socket.

    `address` is (host, port) or the path of a socket. `in_flight` counts this process's requests
    there; whoever made the Forward counts. Until `rests_until` (loop's clock) it is not chosen.
    `idle` holds the front's spare connections, newest last. A `retired` endpoint is gone from the
    route table: what runs there ends, nothing is kept for later.
    """

    name: str
    address: tuple[str, int] | str
    in_flight: int = 0
    rests_until: float = 0.0
    retired: bool = False
    idle: deque[Any] = field(default_factory=deque)


class Failure(Enum):
    """Why an endpoint gave no answer. In all cases the client has seen nothing of one."""

    UNREACHABLE = "unreachable"
    """Refused, no route, or no connection in time: nothing was sent."""

    RESET = "reset"
    """The connection ended before the first byte of an answer."""

    DRAINING = "draining"
    """503 with X-Runner-Draining: the runner did nothing of it."""

    TIMEOUT = "timeout"
    """No first byte in time. The request may have been worked on, so it is not sent again."""

    MALFORMED = "malformed"
    """What came is not HTTP. Not sent again."""


class Outcome(Enum):
    """How a forwarded request ended."""

    COMPLETE = "complete"
    CLIENT_LEFT = "client_left"
    BROKEN_OFF = "broken_off"
    """The endpoint ended the connection within its answer."""


class Ticket(ABC):
    """The life of one forwarded request at one endpoint. Ends with `failed` or `done`, once."""

    __slots__ = ()

    @abstractmethod
    def failed(self, failure: Failure) -> "Decision":
        """No answer from there, and the client has seen nothing: what now?"""

    @abstractmethod
    def first_byte(self, status: int) -> None:
        """The answer's head is here."""

    @abstractmethod
    def done(self, outcome: Outcome, tail: bytes) -> None:
        """The answer has ended. `tail`: its last bytes (up to 4 KiB), decoded of chunking."""

    @abstractmethod
    def broken_event(self) -> bytes:
        """The last event of a stream whose endpoint broke off: nobody may take it for whole."""


@dataclass(slots=True, eq=False)
class Forward:
    """Send the request there. `path` replaces the request's path where it is not None.

    `extra` are headers for the client's answer (X-Model-Cold-Start).
    """

    endpoint: Endpoint
    ticket: Ticket
    path: str | None = None
    extra: Headers = field(default_factory=list)


class Held(ABC):
    """A request that waits. The front awaits `decided`, and calls `leave` if the client goes.

    `stream`: the client asked for a stream, so after `patience` seconds the front sends 200 and
    `media` as its type, and `heartbeat` then and every `interval` seconds; a later Answer is
    sent as `event(answer)` within that stream, and so is an endpoint's answer that is not 200.
    `extra` are headers for the head of such a stream.
    """

    decided: Future[Forward | Answer]
    stream: bool = False
    media: bytes = b"text/event-stream; charset=utf-8"
    heartbeat: bytes = b""
    patience: float = 2.0
    interval: float = 10.0
    extra: Headers | None = None

    @abstractmethod
    def leave(self) -> None:
        """The client is gone: give its place to the next."""

    @abstractmethod
    def event(self, status: int, body: bytes) -> bytes:
        """What a stream is told that ends in this error."""


Decision = Answer | Forward | Held


class Decider(Protocol):
    """Decides about requests. Called in the event loop; must not block."""

    def decide(self, request: Request) -> Decision:
        """What to do with a request. Never raises for what a client may send."""
        ...

    def refuse(self, path: str, status: int, code: str, message: str) -> Answer:
        """An error of the front (400, 408, 413, 431, 503, 504 …) in the dialect of `path`."""
        ...
