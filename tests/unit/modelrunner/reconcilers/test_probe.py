"""Asking pods over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Protocol

import pytest

from modelrunner.reconcilers.probe import (
    LARGEST_ANSWER,
    Door,
    DoorAnswer,
    HttpRunnerProbe,
    ask_runners,
)
from modelrunner_protocol.codec import encode
from modelrunner_protocol.runner import Closing, RunnerState, RunnerStatus
from modelrunner_protocol.wire import Progress, PullPhase
from tests.support.door_runners import door_runners
from tests.unit.modelrunner.domain import pod_json

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
        port = server.sockets[0].getsockname()[1]
        probe = HttpRunnerProbe(port=port, timeout=0.3 if hang else 60)
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
    async with asyncio.timeout(60):
        assert await probe.runner_status("127.0.0.1") is None


CLOSING = Closing(lease=30.0, last_used_at=1.5)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (answer(encode(STATUS).encode()), DoorAnswer(Door.CLOSED, STATUS)),
        (answer(encode(STATUS).encode(), "409 Conflict"), DoorAnswer(Door.BUSY, STATUS)),
        (answer(b"", "404 Not Found"), DoorAnswer(Door.MISSING)),
        (answer(b"", "405 Method Not Allowed"), DoorAnswer(Door.MISSING)),
        (answer(b"not json"), DoorAnswer(Door.UNKNOWN)),
        (
            answer(b"", "302 Found", "Location: http://127.0.0.1/close\r\n"),
            DoorAnswer(Door.UNKNOWN),
        ),
        (answer(b"", "500 Oops"), DoorAnswer(Door.UNKNOWN)),
        (b"garbage\r\n\r\n", DoorAnswer(Door.UNKNOWN)),
        (b"", DoorAnswer(Door.UNKNOWN)),
    ],
)
async def test_closing_a_door(pod: Pod, raw: bytes, expected: DoorAnswer) -> None:
    """Only a status with 200 is a closed door; what is not understood may be closed or not."""
    probe = await pod(raw)
    assert await probe.close_door("127.0.0.1", CLOSING) == expected


async def test_a_door_that_hangs_is_given_up(pod: Pod) -> None:
    """Within the timeout, and without an exception; opening it fails as quietly."""
    probe = await pod(b"", hang=True)
    async with asyncio.timeout(60):
        assert await probe.close_door("127.0.0.1", CLOSING) == DoorAnswer(Door.UNKNOWN)
        await probe.open_door("127.0.0.1")


async def test_what_a_door_is_told() -> None:
    """The whole message, and none to open it."""
    async with door_runners() as doors:
        runner = await doors.add("127.0.2.1", warmed_at=1.0, last_used_at=1.5)
        probe = HttpRunnerProbe(port=doors.port)
        found = await probe.close_door("127.0.2.1", CLOSING)
        assert (found.door, runner.closings) == (Door.CLOSED, [CLOSING])
        await probe.open_door("127.0.2.1")
        assert (runner.asked, runner.closed) == (["/close", "/open"], False)
        assert await ask_runners(probe, [_pod("a", "127.0.2.1"), _pod("b", "127.0.2.9")]) == {
            "uid-a": runner.status,
            "uid-b": None,
        }
        await probe.close()


def _pod(name: str, ip: str) -> dict[str, Any]:
    """A running pod at an address."""
    return pod_json.pod(name, containers=[pod_json.container(pod_json.RUNNING)], podIP=ip)


async def test_nobody_there() -> None:
    """A refused connection, and an address that is none."""
    probe = HttpRunnerProbe(port=1, timeout=60)
    assert await probe.runner_status("127.0.0.1") is None
    assert await probe.runner_status("::1") is None
    assert await probe.progress("not an address") is None
    await probe.close()
