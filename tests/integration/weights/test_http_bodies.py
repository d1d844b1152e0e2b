"""Bodies as the engine reads them: taken straight off their connections, or not."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from runnerd.weights.failure import TransientError
from runnerd.weights.http_body import body_of, range_header, read_whole
from runnerd.weights.http_intake import BLOCK
from runnerd.weights.http_session import get, new_session, parse_url
from runnerd.weights.source import Body
from tests.support.certificates import server_certificate
from tests.support.file_server import Fault, FileServer

MIB = 1024 * 1024
DATA = bytes(range(251)) * 30_000


@asynccontextmanager
async def _serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[FileServer]:
    async with FileServer({"/model.gguf": DATA}).running(tls=tls) as server:
        yield server


@asynccontextmanager
async def _opened(
    server: FileServer,
    start: int = 0,
    stop: int | None = None,
    session: aiohttp.ClientSession | None = None,
) -> AsyncIterator[Body]:
    url = parse_url(server.url())
    async with (
        session or new_session(30) as asking,
        get(asking, url, range_header(start, stop)) as response,
    ):
        yield body_of(response, start)


async def _all(body: Body) -> tuple[bytes, list[int], list[type]]:
    found, sizes, kinds = bytearray(), [], []
    async for chunk in body.chunks:
        found += chunk
        sizes.append(len(chunk))
        kinds.append(type(chunk))
        # Whoever writes takes longer than the network: the next block fills meanwhile.
        await asyncio.sleep(0)
    return bytes(found), sizes, kinds


async def _into(found: bytearray, opened: AbstractAsyncContextManager[Body]) -> None:
    async with opened as body:
        async for chunk in body.chunks:
            found += chunk


@pytest.mark.parametrize("tls", [False, True])
async def test_all_bytes_come_in_blocks(tls: bool, tmp_path: Path) -> None:
    """In their order, no block longer than announced; encrypted or not."""
    context = server_certificate(tmp_path) if tls else None
    trusting = ssl.create_default_context(cafile=tmp_path / "certificate.pem") if tls else True
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting))
    async with _serving(context) as server, _opened(server, session=session) as body:
        found, sizes, kinds = await _all(body)
    assert found == DATA
    assert memoryview in kinds
    assert max(sizes[1:]) <= BLOCK


async def test_a_range() -> None:
    """The bytes that were asked for and none behind them."""
    async with _serving() as server, _opened(server, 1000, 3 * MIB) as body:
        found, _, _ = await _all(body)
    assert found == DATA[1000 : 3 * MIB]


async def test_a_connection_that_breaks() -> None:
    """All that came is handed out before the error is told."""
    async with _serving() as server:
        server.faults.append(Fault(cut_after=3 * MIB + 7))
        found = bytearray()
        with pytest.raises(TransientError, match="broke off"):
            await _into(found, _opened(server))
    assert bytes(found) == DATA[: 3 * MIB + 7]


async def test_a_connection_that_falls_silent() -> None:
    """What came is handed out at once, and after the stall's time the rest is given up."""
    async with _serving() as server:
        server.faults.append(Fault(hang_after=2 * MIB + 7))
        found = bytearray()
        with pytest.raises(TransientError, match="timed out"):
            await _into(found, _opened(server, session=new_session(3.0)))
    assert bytes(found) == DATA[: 2 * MIB + 7]


async def test_a_slow_connection_is_seen_to_move() -> None:
    """Blocks are given on before they are full."""
    async with _serving() as server:
        server.faults.append(Fault(pace=2 * MIB))
        async with _opened(server) as body:
            sizes = [len(chunk) async for chunk in body.chunks]
    assert sum(sizes) == len(DATA)
    assert len(sizes) > len(DATA) / BLOCK


async def test_a_body_without_length() -> None:
    """The client library reads it to its end."""
    async with _serving() as server:
        server.faults.append(Fault(headers={"Content-Length": None}))
        async with _opened(server) as body:
            found, _, kinds = await _all(body)
    assert found == DATA
    assert memoryview not in kinds


async def test_small_bodies_leave_the_connection_to_the_next_request() -> None:
    """Documents of a registry or a Hub come over one connection."""
    async with FileServer({"/model.gguf": b"{}" * 1000}).running() as server:
        ports = set()
        async with new_session(30) as session:
            for _ in range(3):
                async with get(session, parse_url(server.url()), {}) as response:
                    connection = response.connection
                    if connection is not None and connection.transport is not None:
                        ports.add(connection.transport.get_extra_info("sockname"))
                    assert await read_whole(response, 5000) == b"{}" * 1000
    assert len(ports) <= 1
