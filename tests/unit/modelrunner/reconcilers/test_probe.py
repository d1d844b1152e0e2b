"""Asking pods over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

import pytest

from modelrunner.reconcilers.probe import LARGEST_ANSWER, HttpRunnerProbe
from modelrunner_protocol.codec import encode
from modelrunner_protocol.wire import Progress, PullPhase, RunnerState, RunnerStatus

STATUS = RunnerStatus(state=RunnerState.LOADING, started_at=1.0)


class Pod(Protocol):
    """Starts a pod that answers every request with these bytes; `hang` keeps the answer open."""

    async def __call__(self, answer: bytes, *, hang: bool = False) -> HttpRunnerProbe:
        """A probe whose port is the pod's."""
        ...


@pytest.fixture
async def pod() -> AsyncIterator[Pod]:
    """Pods on loopback."""
    servers: list[asyncio.Server] = []
    probes: list[HttpRunnerProbe] = []
    over = asyncio.Event()

    async def start(answer: bytes, *, hang: bool = False) -> HttpRunnerProbe:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            if hang:
                await over.wait()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        servers.append(server)
        probe = HttpRunnerProbe(port=server.sockets[0].getsockname()[1], timeout=0.3)
        probes.append(probe)
        return probe

    yield start
    over.set()
    for probe in probes:
        await probe.close()
    for server in servers:
        server.close()
        await server.wait_closed()


def answer(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    """An HTTP answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}Connection: close\r\n\r\n"
    return head.encode() + body


async def test_both_messages(pod: Pod) -> None:
    """A runner's status and a pull's progress."""
    probe = await pod(answer(encode(STATUS).encode()))
    assert await probe.runner_status("127.0.0.1") == STATUS
    progress = Progress(phase=PullPhase.DOWNLOADING, completed_bytes=5)
    probe = await pod(answer(encode(progress).encode()))
    assert await probe.progress("127.0.0.1") == progress


@pytest.mark.parametrize(
    ("raw", "hang"),
    [
        (answer(b"not json"), False),
        (answer(b"\xff\xfe"), False),
        (answer(b"[]"), False),
        (answer(b'{"state":"dancing","startedAt":1.0}'), False),
        (answer(b"x", "500 Oops"), False),
        (answer(b"", "302 Found", "Location: http://127.0.0.1/status\r\n"), False),
        (answer(b" " * (LARGEST_ANSWER + 1)), False),
        (b"garbage\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", True),
        (b"", True),
        (b"", False),
    ],
)
async def test_anything_else_is_no_answer(pod: Pod, raw: bytes, hang: bool) -> None:
    """Wrong, large, slow or broken: None within the timeout, never an exception."""
    probe = await pod(raw, hang=hang)
    async with asyncio.timeout(2):
        assert await probe.runner_status("127.0.0.1") is None


async def test_nobody_there() -> None:
    """A refused connection, and an address that is none."""
    probe = HttpRunnerProbe(port=1, timeout=0.3)
    assert await probe.runner_status("127.0.0.1") is None
    assert await probe.runner_status("::1") is None
    assert await probe.progress("not an address") is None
    await probe.close()
