"""Limits and ends: timeouts, connection limits, the drain."""

import asyncio
import contextlib
import socket

import pytest

from modelrunner.gateway.http import Front, FrontSettings
from modelrunner.gateway.messages import Answer, Outcome
from tests.support.http_backend import Backend
from tests.support.http_front import CLOCK_BY_HAND, Desk, World, fronting
from tests.support.http_wire import Wire, get, post, until

BY_HAND = FrontSettings(sweep_interval=CLOCK_BY_HAND)
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def answering() -> Desk:
    """A desk that answers by itself."""
    return Desk(route=lambda _: Answer(200, b"ok"))


@pytest.mark.parametrize(
    ("sent", "timeout"),
    [
        (b"G", 10),
        (get()[:-1], 10),
        (post(b"body")[:-1], 60),
        (get("/", "Transfer-Encoding: chunked", method="POST") + b"4\r\nbo", 60),
    ],
)
async def test_a_request_that_does_not_arrive(sent: bytes, timeout: float) -> None:
    """A head has 10 s as a whole, a body 60 s from byte to byte: 408, and the connection ends."""
    async with fronting(answering(), BY_HAND) as world:
        wire = await world.wire()
        assert (await wire.ask(get())).status == 200
        wire.send(sent)
        await arrived(world)
        world.pass_time(timeout - 1)
        assert world.front.connections == 1
        world.pass_time(CLOCK_BY_HAND + 2)
        reply = await wire.reply()
        assert (reply.status, reply.value("connection")) == (408, "close")
        assert await wire.at_end()


async def arrived(world: World) -> None:
    """Wait until a part of a request is there."""
    (client,) = world.front.clients
    await until(lambda: client.patience > 0)


async def test_a_head_is_not_prolonged_by_drops() -> None:
    """A slow loris has as long as everybody."""
    async with fronting(answering(), BY_HAND) as world:
        wire = await world.wire()
        for byte in get()[:5]:
            wire.send(bytes([byte]))
            await arrived(world)
            await asyncio.sleep(0)
            world.pass_time(2.5)
        world.pass_time(CLOCK_BY_HAND)
        assert (await wire.reply()).status == 408


async def test_a_body_is_prolonged_by_progress() -> None:
    """Each byte gives it another while."""
    async with fronting(answering(), BY_HAND) as world:
        wire = await world.wire()
        wire.send(post(b"x" * 20)[:-20])
        await arrived(world)
        (client,) = world.front.clients
        for _ in range(20):
            world.pass_time(CLOCK_BY_HAND + 50)
            before = client.deadline
            wire.send(b"x")
            await until(lambda before=before: client.deadline > before)  # type: ignore[misc] # a default binds
        assert (await wire.reply()).status == 200


async def test_an_idle_connection_is_closed() -> None:
    """Without a word, before a request and between two."""
    async with fronting(answering(), BY_HAND) as world:
        fresh, used = await world.wire(), await world.wire()
        await used.ask(get())
        await until(lambda: world.front.connections == 2)
        world.pass_time(74)
        assert world.front.connections == 2
        world.pass_time(CLOCK_BY_HAND + 2)
        assert await fresh.at_end()
        assert await used.at_end()


async def test_connections_are_bounded() -> None:
    """Those above the limit are told 503; when one leaves, another may come."""
    settings = FrontSettings(max_connections=2)
    async with fronting(answering(), settings) as world:
        first, second = await world.wire(), await world.wire()
        for wire in (first, second):
            assert (await wire.ask(get())).status == 200
        third = await world.wire()
        reply = await third.reply()
        assert (reply.status, reply.value("retry-after")) == (503, "1")
        assert await third.at_end()
        third.close()
        second.close()
        await until(lambda: world.front.connections == 1)
        assert (await (await world.wire()).ask(get())).status == 200
        assert (await first.ask(get())).status == 200


async def test_far_too_many_connections() -> None:
    """Beyond a few hundred above the limit they are closed without a word."""
    async with fronting(answering(), FrontSettings(max_connections=1)) as world:
        wires = [await world.wire() for _ in range(300)]
        told = 0
        for wire in wires[1:]:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                assert (await wire.reply()).status == 503
                told += 1
        assert 200 <= told < 299
        assert (await wires[0].ask(get())).status == 200


async def test_a_refused_sender_is_not_listened_to_for_ever() -> None:
    """After an error the rest is thrown away for a few seconds, then the connection ends."""
    async with fronting(answering(), BY_HAND) as world:
        wire = await world.wire()
        wire.send(b"nonsense\r\n\r\n")
        assert (await wire.reply()).status == 400
        wire.send(get() * 100)
        await asyncio.sleep(0)
        assert len(world.desk.requests) == 0
        world.pass_time(CLOCK_BY_HAND + 6)
        await until(lambda: world.front.connections == 0)


async def test_announcing_the_end(backend: Backend) -> None:
    """From then on answers close their connections, while new ones are accepted."""
    async with fronting(Desk(backend.endpoint)) as world:
        wire = await world.wire()
        assert (await wire.ask(get())).value("connection") is None
        world.front.announce_end()
        assert (await wire.ask(get())).value("connection") == "close"
        assert await wire.at_end()
        late = await world.wire()
        assert (await late.ask(get())).value("connection") == "close"


async def test_a_drain_finishes_what_is_under_way(backend: Backend) -> None:
    """Idle connections end, nobody new comes in, and the last answer is whole."""
    go = asyncio.Event()
    backend.script = lambda _: [EMPTY] if not backend.requests[1:] else [go, EMPTY]
    async with fronting(Desk(backend.endpoint)) as world:
        idle, busy = await world.wire(), await world.wire()
        await idle.ask(get())
        busy.send(post(b"{}"))
        await until(lambda: len(backend.requests) == 2)
        drain = asyncio.create_task(world.front.drain(30.0))
        assert await idle.at_end()
        with pytest.raises(ConnectionRefusedError):
            await Wire.open(world.port)
        assert not drain.done()
        go.set()
        reply = await busy.reply()
        assert (reply.status, reply.value("connection")) == (200, "close")
        assert await drain is True
        await until(lambda: world.front.pool.connections == 0)


async def test_a_drain_ends(backend: Backend) -> None:
    """What does not end by the deadline is broken off, and its ticket is told."""
    backend.script = lambda _: [asyncio.Event()]
    async with fronting(Desk(backend.endpoint)) as world:
        wire = await world.wire()
        wire.send(post(b"{}"))
        await backend.arrived.get()
        assert await world.front.drain(0.01) is False
        assert await wire.at_end()
        await until(lambda: world.front.in_flight == 0)
        assert world.desk.notes[0].outcomes == [Outcome.CLIENT_LEFT]


async def test_a_request_that_is_arriving_when_the_drain_begins() -> None:
    """It is under way: it is read to its end and answered."""
    async with fronting(answering()) as world:
        wire = await world.wire()
        wire.send(post(b"body")[:-1])
        await until(lambda: world.front.connections == 1)
        await arrived(world)
        drain = asyncio.create_task(world.front.drain(30.0))
        await until(lambda: world.front.closing)
        reply = await wire.ask(b"y")
        assert (reply.status, reply.value("connection")) == (200, "close")
        assert await drain is True


async def test_listening_on_a_socket() -> None:
    """A socket that is bound already, of either family."""
    listener = socket.create_server(("127.0.0.1", 0))
    front = Front(answering())
    await front.listen_on(listener)
    wire = await Wire.open(listener.getsockname()[1])
    assert (await wire.ask(get())).body == b"ok"
    wire.close()
    await front.drain(10.0)
    await wire.writer.wait_closed()
