"""Runner pods as the operator sees them: /status, /close and /open over HTTP, without an engine."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from modelrunner_protocol.codec import decode, encode
from modelrunner_protocol.runner import (
    CLOSE_PATH,
    OPEN_PATH,
    STATUS_PATH,
    Closing,
    RunnerState,
    RunnerStatus,
)


async def _nothing() -> None:
    """Nobody comes in between."""


@dataclass
class DoorRunner:
    """One runner; a test writes its `status`.

    Attributes:
        address: where it listens.
        status: what it says of itself.
        asked: the paths of all requests but those for the status.
        silent: it answers nothing that can be understood.
        doorless: it is of a time when runners had no door.
        knock: runs when it is asked to close, before it looks whether it may.
    """

    address: str
    status: RunnerStatus
    asked: list[str] = field(default_factory=list)
    closings: list[Closing] = field(default_factory=list)
    silent: bool = False
    doorless: bool = False
    knock: Callable[[], Awaitable[None]] = _nothing

    def used(self, at: float, **more: Any) -> None:
        """A request has come and gone, or is still inside (`in_flight`)."""
        self.status = replace(self.status, last_used_at=at, **more)

    @property
    def closed(self) -> bool:
        """Whether its door is closed."""
        return self.status.closed_until is not None

    def open(self) -> None:
        """What the end of a lease does."""
        self.status = replace(self.status, closed_until=None)

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """The answer to any request."""
        if self.silent:
            return web.Response(status=500)
        if request.path == STATUS_PATH:
            return self._told(200)
        self.asked.append(request.path)
        if self.doorless or request.path not in {CLOSE_PATH, OPEN_PATH}:
            return web.Response(status=404)
        if request.path == CLOSE_PATH:
            return await self._close(decode(Closing, await request.read()))
        self.open()
        return self._told(200)

    async def _close(self, asked: Closing) -> web.Response:
        self.closings.append(asked)
        await self.knock()
        unused = (
            not self.status.in_flight
            and not self.status.held
            and self.status.last_used_at == asked.last_used_at
        )
        if not asked.drain and not unused:
            return self._told(409)
        self.status = replace(self.status, closed_until=(self.status.last_used_at or 0) + 1e6)
        return self._told(200)

    def _told(self, status: int) -> web.Response:
        return web.Response(status=status, text=encode(self.status))


class DoorRunners:
    """Runners on addresses of their own and one port, as pods have."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self._sites = contextlib.AsyncExitStack()

    async def add(self, address: str, *, warmed_at: float, **more: Any) -> DoorRunner:
        """One more runner, whose engine has been ready since `warmed_at`."""
        status = RunnerStatus(
            state=RunnerState.READY, started_at=warmed_at, warmed_at=warmed_at, **more
        )
        runner = DoorRunner(address, status)
        server = web.ServerRunner(web.Server(runner.answer))
        await server.setup()
        self._sites.push_async_callback(server.cleanup)
        site = web.TCPSite(server, address, self.port)
        await site.start()
        self.port = self.port or server.addresses[0][1]
        return runner

    async def close(self) -> None:
        """End all of them."""
        await self._sites.aclose()


@contextlib.asynccontextmanager
async def door_runners(port: int = 0) -> AsyncIterator[DoorRunners]:
    """Runners that end with the block."""
    found = DoorRunners(port)
    try:
        yield found
    finally:
        await found.close()
