"""A backend that answers by a script, in the test's event loop."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final, Self

from modelrunner.gateway.messages import Endpoint
from tests.support.http_wire import end, field_of

OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


STREAM: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


class Hangup:
    """A step of a script: close the connection in order."""


class Reset:
    """A step of a script: close the connection with RST."""


class Pause(asyncio.Event):
    """A step of a script: a moment, so that what was written before it is read by itself."""

    def __init__(self) -> None:
        super().__init__()
        asyncio.get_running_loop().call_later(0.01, self.set)


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
        return [field_of(line) for line in self.head.split(b"\r\n")[1:] if line]

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
