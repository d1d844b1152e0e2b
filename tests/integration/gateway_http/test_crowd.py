"""Ten thousand idle connections, and clients that are slow on purpose."""

import asyncio
import contextlib
import re
import resource
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.cluster.settings import ROOT
from tests.support.http_wire import Wire, get, until

CROWD: Final = 10_000
LIMIT: Final = CROWD + 50


@dataclass
class Door:
    """A front in a process of its own."""

    port: int
    pid: int

    @property
    def memory(self) -> int:
        """Its resident bytes."""
        text = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        found = re.search(r"^VmRSS:\s+(\d+) kB", text, re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024

    @property
    def sockets(self) -> int:
        """How many descriptors it has."""
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())

    async def ask(self) -> int:
        """The status of a request on a connection of its own."""
        wire = await Wire.open(self.port)
        reply = await wire.ask(get("/", "Connection: close"))
        wire.close()
        await wire.writer.wait_closed()
        return reply.status


@contextlib.asynccontextmanager
async def door(*, idle: float, header: float, connections: int = LIMIT) -> AsyncIterator[Door]:
    """Start and end it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.gateway_http.door",
        *map(str, (idle, header, connections)),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield Door(int(await process.stdout.readline()), process.pid)
    finally:
        process.stdin.close()
        assert await process.wait() == 0


@pytest.fixture
def descriptors() -> Iterator[None]:
    """As many as this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = CROWD + 1000
    assert hard == resource.RLIM_INFINITY or hard >= needed, f"ulimit -Hn is below {needed}"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def crowd(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Connections that say nothing."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=120))
            for _ in range(count)
        ]


async def test_ten_thousand_idle_connections(descriptors: None) -> None:
    """They cost little memory, hinder nobody, are bounded, and leave nothing behind."""
    async with door(idle=3600, header=3600) as front:
        open_before = front.sockets
        assert await front.ask() == 200
        await until(lambda: front.sockets <= open_before)
        before = front.memory
        with crowd(front.port, CROWD) as silent:
            await until(lambda: front.sockets >= open_before + CROWD)
            assert await front.ask() == 200
            each = (front.memory - before) / CROWD
            print(f"{each:.0f} bytes for an idle connection")
            assert each < 12_000
            for connection in silent[:: CROWD // 100]:
                connection.sendall(get())
                assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
            with crowd(front.port, LIMIT - CROWD):
                await until(lambda: front.sockets >= open_before + LIMIT)
                assert await front.ask() == 503
            await until(lambda: front.sockets <= open_before + CROWD)
            assert await front.ask() == 200
        await until(lambda: front.sockets <= open_before)
        assert await front.ask() == 200


async def test_a_slow_loris() -> None:
    """Clients that send a head byte by byte are cut after its timeout; others are served."""
    lorises = 500
    async with door(idle=3600, header=4.0) as front:
        with crowd(front.port, lorises) as slow:
            pending = set(slow)
            head = get("/", "X: " + "x" * 100_000)
            served = 0
            for byte in head:
                for loris in tuple(pending):
                    if not _drip(loris, byte):
                        pending.discard(loris)
                assert await front.ask() == 200
                served += 1
                if not pending:
                    break
                await asyncio.sleep(0.02)
            assert not pending
            assert served > 1


def _drip(loris: socket.socket, byte: int) -> bool:
    """Send one byte more; whether the other side still listens."""
    loris.setblocking(False)  # noqa: FBT003 - the only argument
    try:
        answer = loris.recv(65536)
    except BlockingIOError:
        with contextlib.suppress(ConnectionError, BlockingIOError):
            loris.send(bytes([byte]))
        return True
    except ConnectionError:
        return False
    assert not answer or answer.startswith(b"HTTP/1.1 408 ")
    return False
