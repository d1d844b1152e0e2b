"""Endpoints that give no answer, or none that can be passed on."""

import asyncio
import contextlib
import socket

import pytest

from modelrunner.gateway.http import FrontSettings
from modelrunner.gateway.messages import Endpoint, Failure, Outcome
from tests.support.http_backend import OK, Backend, Hangup, Pause, Reset, Step, listening
from tests.support.http_front import CLOCK_BY_HAND, Desk, World, fronting
from tests.support.http_wire import get, post, until

EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


MALFORMED = {
    "nonsense": b"nonsense\r\n\r\n",
    "another protocol": b"SSH-2.0-x\r\n",
    "HTTP/2": b"HTTP/2 200\r\n\r\n",
    "switching": b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "status": b"HTTP/1.1 20 OK\r\n\r\n",
    "large status": b"HTTP/1.1 999 OK\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
    "fold": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "control in a value": b"HTTP/1.1 200 OK\r\nA: \x00\r\nContent-Length: 0\r\n\r\n",
    "control in the reason": b"HTTP/1.1 200 \x00OK\r\nContent-Length: 0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "list of lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nab",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "length and coding": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "two codings": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "endless head": b"HTTP/1.1 200 OK\r\nA: " + b"a" * 70_000,
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_answers(world: World, backend: Backend, name: str) -> None:
    """Nothing of them is passed on, and their connection is not used again."""
    backend.script = lambda _: [MALFORMED[name], asyncio.Event()]
    wire = await world.wire()
    reply = await wire.ask(get())
    assert (reply.status, reply.body) == (502, b"malformed")
    async with asyncio.timeout(60):
        assert await backend.ended.get() == 1
    assert world.desk.notes[0].failures == [Failure.MALFORMED]
    backend.script = lambda _: [OK]
    assert (await wire.ask(get())).body == b"ok"


@pytest.mark.parametrize(
    ("step", "failure"),
    [
        (Hangup(), Failure.RESET),
        (Reset(), Failure.RESET),
        (b"HTTP/1.1 200 OK\r\nContent-", Failure.MALFORMED),
    ],
)
async def test_an_end_before_an_answer(
    world: World, backend: Backend, step: Step, failure: Failure
) -> None:
    """On a fresh connection that is told at once."""
    backend.script = lambda _: [step, Hangup()]
    wire = await world.wire()
    assert (await wire.ask(post(b"{}"))).status == 502
    assert world.desk.notes[0].failures == [failure]
    assert len(backend.requests) == 1


async def test_refused(world: World) -> None:
    """Nobody listens there: the next decision is followed, to another endpoint."""
    desk = world.desk
    assert desk.endpoint is not None
    async with Backend() as gone:
        nobody = Endpoint("nobody", ("127.0.0.1", gone.port))
    first = desk.forward(nobody)
    desk.notes[0].answers.append(desk.forward())
    desk.route = lambda _: first
    wire = await world.wire()
    assert (await wire.ask(post(b"{}"))).body == b"ok"
    assert desk.notes[0].failures == [Failure.UNREACHABLE]
    assert desk.notes[1].outcomes == [Outcome.COMPLETE]


async def test_no_connection_in_time() -> None:
    """A listener that accepts nobody is unreachable after the connect timeout."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listener.getsockname()
        for _ in range(4):
            # They fill its queue, so that the kernel answers nobody any more.
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)  # noqa: FBT003 - the only argument
            filler.connect_ex(address)
        desk = Desk(Endpoint("full", address))
        async with fronting(desk, FrontSettings(connect_timeout=0.05)) as world:
            wire = await world.wire()
            assert (await wire.ask(get())).body == b"unreachable"


async def test_no_answer_in_time(backend: Backend) -> None:
    """The first byte's timeout is told as such, and the endpoint is hung up on."""
    backend.script = lambda _: [asyncio.Event()]
    settings = FrontSettings(first_byte_timeout=600, sweep_interval=CLOCK_BY_HAND)
    async with fronting(Desk(backend.endpoint), settings) as world:
        wire = await world.wire()
        wire.send(post(b"{}"))
        await backend.arrived.get()
        world.pass_time(599)
        assert world.front.in_flight == 1
        world.pass_time(CLOCK_BY_HAND + 1)
        assert (await wire.reply()).body == b"timeout"
        async with asyncio.timeout(60):
            await backend.ended.get()


async def test_a_draining_runner_is_passed_by(world: World, backend: Backend) -> None:
    """503 with X-Runner-Draining never reaches a client; the request goes elsewhere."""
    desk = world.desk
    backend.script = lambda _: [
        b"HTTP/1.1 503 Service Unavailable\r\nX-Runner-Draining: true\r\nContent-Length: 3\r\n\r\nbye"
    ]
    async with Backend() as other:
        first = desk.forward()
        desk.notes[0].answers.append(desk.forward(other.endpoint))
        desk.route = lambda _: first
        wire = await world.wire()
        reply = await wire.ask(post(b"body"))
        assert (reply.status, reply.body) == (200, b"ok")
        assert other.requests[0].body == b"body"
    assert desk.notes[0].failures == [Failure.DRAINING]
    assert desk.notes[0].statuses == []


async def test_a_plain_503_is_passed_on(world: World, backend: Backend) -> None:
    """It is the runner's answer."""
    backend.script = lambda _: [b"HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nbye"]
    wire = await world.wire()
    reply = await wire.ask(get())
    assert (reply.status, reply.body) == (503, b"bye")
    assert world.desk.notes[0].outcomes == [Outcome.COMPLETE]


async def test_a_stale_connection_is_not_the_clients_trouble(
    world: World, backend: Backend
) -> None:
    """A spare connection that ends as a request is sent is replaced, once, silently."""
    backend.script = lambda r: [EMPTY] if r.connection > 1 else [OK, Pause(), Reset()]
    wire = await world.wire()
    assert (await wire.ask(get())).status == 200
    backend.script = lambda r: [EMPTY] if r.connection > 1 else [Reset()]
    assert (await wire.ask(post(b"again"))).status == 200
    assert backend.requests[-1].body == b"again"
    assert all(not note.failures for note in world.desk.notes)


async def test_a_second_reset_is_told(world: World, backend: Backend) -> None:
    """When the fresh connection ends too, the decider decides."""
    wire = await world.wire()
    assert (await wire.ask(get())).status == 200
    backend.script = lambda _: [Reset()]
    assert (await wire.ask(get())).body == b"reset"
    assert world.desk.notes[1].failures == [Failure.RESET]
    assert len(backend.requests) == 3


async def test_a_large_body_to_a_slow_endpoint() -> None:
    """It is handed over as it is taken, and an answer before its end is passed on."""
    body = bytes(range(256)) * 40_000
    accepted = asyncio.Event()
    got = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accepted.wait()
        await reader.readuntil(b"\r\n\r\n")
        while len(got) < len(body):
            got.extend(await reader.read(65536))
        writer.write(OK)
        await reader.read()

    desk = Desk()
    async with listening(serve) as desk.endpoint, fronting(desk) as world:
        wire = await world.wire()
        wire.send(post(body))
        await until(lambda: len(desk.requests) == 1)
        accepted.set()
        assert (await wire.reply()).body == b"ok"
    assert bytes(got) == body


async def test_an_answer_before_the_body_is_sent() -> None:
    """It is passed on; the connection, with half a request on it, is not used again."""
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await writer.drain()
        with contextlib.suppress(ConnectionError):
            while await reader.read(65536):
                pass
        ended.set()

    desk = Desk()
    async with listening(serve) as desk.endpoint, fronting(desk) as world:
        wire = await world.wire()
        assert (await wire.ask(post(b"x" * 20_000_000))).status == 413
        async with asyncio.timeout(60):
            await ended.wait()
