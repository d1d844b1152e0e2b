"""The HTTP front between a raw client and a scripted backend, all in the test's event loop."""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Self, cast

from modelrunner.gateway.http import Front, FrontSettings
from modelrunner.gateway.messages import (
    Answer,
    Decision,
    Endpoint,
    Failure,
    Forward,
    Outcome,
    Request,
    Ticket,
)

PATIENCE: Final = 30.0
"""Seconds after which a test that waits has failed; nothing is expected to take that long."""

OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
STREAM: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


class Hangup:
    """A step of a script: close the connection in order."""


class Reset:
    """A step of a script: close the connection with RST."""


Step = bytes | asyncio.Event | Hangup | Reset


@dataclass
class Received:
    """A request as a backend got it; `connection` counts from 1."""

    head: bytes
    body: bytes
    connection: int

    @property
    def line(self) -> bytes:
        """The request line."""
        return self.head.split(b"\r\n")[0]

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Names in lower case."""
        return [_field(line) for line in self.head.split(b"\r\n")[1:] if line]

    def values(self, name: bytes) -> list[bytes]:
        """All values of a header."""
        return [value for key, value in self.headers if key == name]


Script = Callable[[Received], Iterable[Step]]


class Backend:
    """Answers each request with the steps of its script; an Event is waited for.

    `ended` has an entry per connection that the other side has closed.
    """

    def __init__(self, script: Script | bytes = OK) -> None:
        self.script: Script = (lambda _: [script]) if isinstance(script, bytes) else script
        self.requests: list[Received] = []
        self.accepted = 0
        self.ended: asyncio.Queue[int] = asyncio.Queue()
        self.arrived: asyncio.Queue[Received] = asyncio.Queue()
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def endpoint(self) -> Endpoint:
        """A new endpoint that leads here."""
        return Endpoint("backend", ("127.0.0.1", self.port))

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        await self.hang_up()

    async def hang_up(self) -> None:
        """End all connections."""
        tasks = tuple(self._tasks)
        for writer in self._tasks.values():
            writer.transport.abort()
        await asyncio.gather(*tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks[task] = writer
        task.add_done_callback(self._tasks.pop)
        self.accepted += 1
        number = self.accepted
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                received = await _receive(reader, number)
                self.requests.append(received)
                self.arrived.put_nowait(received)
                if not await self._play(reader, writer, self.script(received)):
                    break
        self.ended.put_nowait(number)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def _play(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, steps: Iterable[Step]
    ) -> bool:
        for step in steps:
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
            elif isinstance(step, asyncio.Event):
                waiting = asyncio.ensure_future(step.wait())
                gone = asyncio.ensure_future(reader.read(1))
                await asyncio.wait((waiting, gone), return_when=asyncio.FIRST_COMPLETED)
                if not step.is_set():
                    waiting.cancel()
                    raise ConnectionResetError
                gone.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await gone
            else:
                end(writer, reset=isinstance(step, Reset))
                return False
        return True


def end(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    """Close a connection, with RST where asked for."""
    if reset:
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()


async def _receive(reader: asyncio.StreamReader, number: int) -> Received:
    head = await reader.readuntil(b"\r\n\r\n")
    received = Received(head[:-4], b"", number)
    (length,) = received.values(b"content-length") or (b"0",)
    received.body = await reader.readexactly(int(length))
    return received


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def listening(serve: Serve, path: str | None = None) -> AsyncIterator[Endpoint]:
    """A server for the time of a test, on a port or on the socket `path`."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(ConnectionError):
            await serve(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    if path is None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0, limit=1000)
        yield Endpoint("raw", server.sockets[0].getsockname())
    else:
        server = await asyncio.start_unix_server(handle, path)
        yield Endpoint("raw", path)
    server.close()
    await asyncio.gather(*tasks)


@dataclass(eq=False)
class Note(Ticket):
    """A ticket that writes down what it is told; `answers` are what `failed` returns."""

    endpoint: Endpoint
    answers: deque[Decision] = field(default_factory=deque)
    failures: list[Failure] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    tail: bytes = b""
    event: bytes = b'data: {"error": "broken"}\n\n'
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def failed(self, failure: Failure) -> Decision:
        """Part of Ticket."""
        self.failures.append(failure)
        self.ended.set()
        return self.answers.popleft() if self.answers else Answer(502, failure.value.encode())

    def first_byte(self, status: int) -> None:
        """Part of Ticket."""
        self.statuses.append(status)

    def done(self, outcome: Outcome, tail: bytes) -> None:
        """Part of Ticket."""
        self.outcomes.append(outcome)
        self.tail = tail
        self.ended.set()

    def broken_event(self) -> bytes:
        """Part of Ticket."""
        return self.event


class Desk:
    """A decider: sends all to one endpoint, or does what `route` says."""

    def __init__(
        self, endpoint: Endpoint | None = None, route: Callable[[Request], Decision] | None = None
    ) -> None:
        self.endpoint = endpoint
        self.route = route
        self.requests: list[Request] = []
        self.notes: list[Note] = []
        self.bodies: list[bytes] = []

    def forward(self, endpoint: Endpoint | None = None) -> Forward:
        """To an endpoint, with a ticket that is kept in `notes`."""
        target = endpoint or self.endpoint
        assert target is not None
        note = Note(target)
        self.notes.append(note)
        return Forward(target, note)

    def decide(self, request: Request) -> Decision:
        """Part of Decider."""
        self.requests.append(request)
        self.bodies.append(request.body)
        return self.route(request) if self.route else self.forward()

    def refuse(self, path: str, status: int, code: str, message: str) -> Answer:
        """Part of Decider."""
        return Answer(status, f"{path} {message}".encode(), code=code)


@dataclass
class Reply:
    """An answer as a client got it. `cut`: it ended before its framing said so."""

    status: int
    head: bytes
    body: bytes
    cut: bool = False

    def values(self, name: str) -> list[str]:
        """All values of a header."""
        fields = [_field(line) for line in self.head.split(b"\r\n")[1:]]
        return [value.decode() for key, value in fields if key == name.encode()]

    def value(self, name: str) -> str | None:
        """The only value of a header."""
        found = self.values(name)
        assert len(found) < 2, f"{name} is there {len(found)} times"
        return found[0] if found else None


class Wire:
    """A client that says what it is told, byte by byte, and reads strictly."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int) -> "Wire":
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, data: bytes) -> None:
        """Write without waiting."""
        self.writer.write(data)

    async def ask(self, data: bytes, *, bodiless: bool = False) -> Reply:
        """Send and read one answer."""
        self.send(data)
        return await self.reply(bodiless=bodiless)

    async def head(self) -> tuple[int, bytes]:
        """The head of the next answer."""
        async with asyncio.timeout(PATIENCE):
            head = (await self.reader.readuntil(b"\r\n\r\n"))[:-4]
        version, status, *_ = head.split(b" ", 2)
        assert version == b"HTTP/1.1"
        return int(status), head

    async def reply(self, *, bodiless: bool = False) -> Reply:
        """The next answer, 1xx left out."""
        status, head = await self.head()
        while status < 200:
            status, head = await self.head()
        reply = Reply(status, head, b"")
        length, coding = reply.value("content-length"), reply.value("transfer-encoding")
        assert length is None or coding is None
        async with asyncio.timeout(PATIENCE):
            if bodiless or status in {204, 304}:
                return reply
            if coding is not None:
                assert coding == "chunked"
                await self._chunks(reply)
            elif length is not None:
                await self._exactly(reply, int(length))
            else:
                reply.body = await self.reader.read()
        return reply

    async def _exactly(self, reply: Reply, length: int) -> None:
        try:
            reply.body += await self.reader.readexactly(length)
        except asyncio.IncompleteReadError as error:
            reply.body += error.partial
            reply.cut = True

    async def chunk(self) -> bytes:
        """One chunk of a body; b"" is the last."""
        async with asyncio.timeout(PATIENCE):
            size = int((await self.reader.readuntil(b"\r\n"))[:-2], 16)
            payload = await self.reader.readexactly(size + 2)
        assert payload.endswith(b"\r\n")
        return payload[:-2]

    async def _chunks(self, reply: Reply) -> None:
        try:
            while payload := await self.chunk():
                reply.body += payload
        except (asyncio.IncompleteReadError, ConnectionResetError):
            reply.cut = True

    def stop_reading(self) -> None:
        """Take nothing more from the network."""
        cast("asyncio.Transport", self.writer.transport).pause_reading()

    def read_on(self) -> None:
        """Take it again."""
        cast("asyncio.Transport", self.writer.transport).resume_reading()

    async def at_end(self) -> bool:
        """Wait until the other side closes; whether it did so without another byte."""
        async with asyncio.timeout(PATIENCE):
            try:
                return not await self.reader.read(1)
            except ConnectionResetError:
                return True

    def close(self, *, reset: bool = False) -> None:
        """Leave."""
        end(self.writer, reset=reset)


@dataclass
class World:
    """A front that listens; `desk` decides. `wires` are closed at its end."""

    front: Front
    desk: Desk
    port: int
    wires: list[Wire] = field(default_factory=list)
    passed: float = 0.0

    async def wire(self) -> Wire:
        """A new connection to it."""
        wire = await Wire.open(self.port)
        self.wires.append(wire)
        return wire

    def pass_time(self, seconds: float) -> None:
        """Let the front believe that so much time has passed; see `CLOCK_BY_HAND`."""
        front = self.front
        self.passed += seconds
        front.sweep(front.loop.time() + self.passed)


CLOCK_BY_HAND: Final = 10_000.0
"""A `sweep_interval` in which no sweep comes by itself. A deadline that is set in it may be as much
later, so `pass_time` of it and a timeout ends what has lasted for longer than the timeout."""


@contextlib.asynccontextmanager
async def fronting(desk: Desk, settings: FrontSettings | None = None) -> AsyncIterator[World]:
    """A front for the time of a test; it must end with nothing left."""
    front = Front(desk, settings)
    world = World(front, desk, await front.listen("127.0.0.1", 0))
    try:
        yield world
    finally:
        for wire in world.wires:
            wire.close()
        await front.drain(0.0)
        await until(lambda: front.connections == 0)
        for wire in world.wires:
            with contextlib.suppress(ConnectionError):
                await wire.writer.wait_closed()
        assert front.in_flight == 0
        assert front.ledger.held == 0


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is asked for has no event
            await asyncio.sleep(0.002)


def get(path: str = "/", *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request without a body."""
    lines = [f"{method} {path} HTTP/{version}", "Host: test", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def post(body: bytes, path: str = "/v1/chat/completions", *headers: str) -> bytes:
    """A request with a body."""
    return get(path, *headers, f"Content-Length: {len(body)}", method="POST") + body


def chunked(*chunks: bytes) -> bytes:
    """A body in the chunked coding, with its end."""
    return b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks) + b"0\r\n\r\n"


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.lower(), value.strip()
