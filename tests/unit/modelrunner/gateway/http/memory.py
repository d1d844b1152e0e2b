"""A front whose connections are in memory: each byte comes when a test says so."""

import asyncio
import itertools
from collections.abc import Callable, Sequence

from modelrunner.gateway.http import Front, FrontSettings
from modelrunner.gateway.http.client import Client
from modelrunner.gateway.http.pool import Pool
from modelrunner.gateway.http.upstream import Upstream
from modelrunner.gateway.messages import Endpoint
from tests.support.http_front import Desk


class Pipe(asyncio.Transport):
    """A transport that keeps what is written. `ended` by whichever side."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.written = bytearray()
        self.ended = False
        self.aborted = False
        self.fresh: Callable[[], None] = lambda: None

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Part of asyncio.Transport."""
        return ("192.0.2.1", 1) if name == "peername" else default

    def is_closing(self) -> bool:
        """Part of asyncio.Transport."""
        return self.ended

    def is_reading(self) -> bool:
        """Part of asyncio.Transport."""
        return True

    def pause_reading(self) -> None:
        """Part of asyncio.Transport."""

    def resume_reading(self) -> None:
        """Part of asyncio.Transport."""

    def get_write_buffer_size(self) -> int:
        """Part of asyncio.Transport."""
        return 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Part of asyncio.Transport."""
        assert not self.ended, "written after the end"
        self.written += data
        self.fresh()

    def write_eof(self) -> None:
        """Part of asyncio.Transport."""

    def close(self) -> None:
        """Part of asyncio.Transport."""
        if not self.ended:
            self.ended = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        """Part of asyncio.Transport."""
        self.aborted = True
        self.close()

    def receive(self, parts: Sequence[bytes]) -> None:
        """The other side says this, piece by piece, while it is listened to."""
        for part in parts:
            if self.ended:
                return
            if part:
                self.protocol.data_received(part)


class MemoryPool(Pool):
    """Its connections lead to `serve`, which is called when something was sent there."""

    def __init__(self, settings: FrontSettings, serve: Callable[[Pipe], None]) -> None:
        super().__init__(settings)
        self._serve = serve
        self.pipes: list[Pipe] = []

    async def dial(self, endpoint: Endpoint) -> Upstream:
        """Part of Pool."""
        upstream = Upstream(self, endpoint)
        pipe = Pipe(upstream)
        self.pipes.append(pipe)
        loop = asyncio.get_running_loop()

        def fresh() -> None:
            loop.call_soon(self._serve, pipe)

        pipe.fresh = fresh
        upstream.connection_made(pipe)
        return upstream


class Memory:
    """A front, one client's connection to it, and `serve` behind it."""

    def __init__(self, desk: Desk, serve: Callable[[Pipe], None]) -> None:
        desk.endpoint = Endpoint("memory", ("192.0.2.2", 80))
        settings = FrontSettings()
        self.front = Front(desk, settings)
        self.pool = MemoryPool(settings, serve)
        self.front.pool = self.pool
        self.client = Client(self.front)
        self.pipe = Pipe(self.client)
        self.client.connection_made(self.pipe)

    async def settle(self) -> None:
        """Let the loop run until nothing is left to do."""
        for _ in range(30):
            await asyncio.sleep(0)

    async def end(self) -> None:
        """The client leaves; nothing may be left of it."""
        self.pipe.close()
        await self.settle()
        assert self.front.in_flight == 0
        assert self.front.connections == 0
        assert self.front.ledger.held == 0
        await self.front.drain(0.0)
        await self.settle()
        assert self.pool.connections == 0


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """Data in pieces, cut at these places."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def run(coroutine: Callable[[], "asyncio.Future[None] | object"]) -> None:
    """Run a coroutine in a loop that takes no exception lightly."""

    async def strictly() -> None:
        trouble: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, it: trouble.append(it))
        await coroutine()  # type: ignore[misc] # a coroutine function
        assert trouble == []

    asyncio.run(strictly())
