"""The front and nginx, each before a backend that writes down what it gets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from modelrunner.gateway.http import FrontSettings
from tests.integration.gateway_http.readers import Reading, nginx_before, statuses
from tests.support.http_backend import Backend, Received
from tests.support.http_front import Desk, fronting

Reader = Callable[[bytes], Awaitable[Reading]]
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
async def ours() -> AsyncIterator[Reader]:
    """What the front takes bytes for."""
    settings = FrontSettings(header_timeout=0.3, body_timeout=0.3, sweep_interval=0.1)
    async with Backend(_ANSWER) as backend, fronting(Desk(backend.endpoint), settings) as world:

        async def read(data: bytes) -> Reading:
            wire = await asyncio.open_connection("127.0.0.1", world.port)
            # Who says no more has left, to the front: its timeouts end what is not whole.
            return reading(backend, await statuses(*wire, data, last=False))

        yield read


@pytest.fixture
async def nginx(tmp_path: Path) -> AsyncIterator[Reader]:
    """What nginx takes bytes for."""
    async with Backend(_ANSWER) as backend, nginx_before(backend, tmp_path) as path:

        async def read(data: bytes) -> Reading:
            wire = await asyncio.open_unix_connection(path)
            return reading(backend, await statuses(*wire, data, last=True))

        yield read


def reading(backend: Backend, found: list[int]) -> Reading:
    """What came through to the backend, and how the client was answered."""
    taken = tuple(request_of(received) for received in backend.requests)
    backend.requests.clear()
    refused = next((status for status in found if status != 200), None)
    if refused is None and len(found) != len(taken):
        refused = 0  # The connection just ended.
    return Reading(taken, refused)


def request_of(received: Received) -> tuple[str, str, bytes]:
    """Method, path, body."""
    method, target, _ = received.line.decode("latin-1").split(" ")
    return method, target.partition("?")[0], received.body
