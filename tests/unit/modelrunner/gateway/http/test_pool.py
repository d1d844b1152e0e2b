"""How many connections to an endpoint there are, and which is used."""

import asyncio

from modelrunner.gateway.http import FrontSettings
from tests.support.http_backend import Backend
from tests.support.http_front import CLOCK_BY_HAND, Desk, World, fronting
from tests.support.http_wire import get, post, until


async def test_ports_do_not_run_out(world: World, backend: Backend) -> None:
    """Many requests of many clients need no more connections than are busy at once."""
    clients, each = 20, 30

    async def ask() -> None:
        wire = await world.wire()
        for _ in range(each):
            assert (await wire.ask(post(b"{}"))).status == 200

    await asyncio.gather(*(ask() for _ in range(clients)))
    assert len(backend.requests) == clients * each
    assert backend.accepted <= clients


async def test_connections_that_are_not_needed_grow_old(backend: Backend) -> None:
    """After a burst one client uses one connection; the others are closed when their time is up."""
    settings = FrontSettings(sweep_interval=CLOCK_BY_HAND)
    async with fronting(Desk(backend.endpoint), settings) as world:
        wires = [await world.wire() for _ in range(8)]
        await asyncio.gather(*(wire.ask(get()) for wire in wires))
        burst = world.front.pool.connections
        assert burst > 1
        used = set()
        for _ in range(5):
            world.pass_time(15)
            await wires[0].ask(get())
            used.add(backend.requests[-1].connection)
        assert len(used) == 1
        await until(lambda: world.front.pool.connections == 1)


async def test_a_retired_endpoint_keeps_nothing(backend: Backend) -> None:
    """What runs there ends in order; then its connections are closed."""
    go = asyncio.Event()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    backend.script = lambda _: [answer] if not backend.requests[1:] else [go, answer]
    settings = FrontSettings(sweep_interval=CLOCK_BY_HAND)
    async with fronting(Desk(backend.endpoint), settings) as world:
        spare, busy = await world.wire(), await world.wire()
        first = asyncio.create_task(spare.ask(get()))
        await first
        busy.send(get())
        await until(lambda: len(backend.requests) == 2)
        assert world.desk.endpoint is not None
        world.desk.endpoint.retired = True
        world.pass_time(1)
        assert world.front.in_flight == 1
        go.set()
        assert (await busy.reply()).status == 200
        await until(lambda: world.front.pool.connections == 0)


async def test_a_client_that_leaves_while_connecting(backend: Backend) -> None:
    """The connection that comes is kept for the next; nothing is sent on it."""
    async with fronting(Desk(backend.endpoint)) as world:
        wire = await world.wire()
        wire.send(post(b"{}"))
        await until(lambda: bool(world.desk.requests))
        wire.close(reset=True)
        await until(lambda: world.front.connections == 0)
        await until(lambda: world.front.in_flight == 0)
        assert len(world.desk.notes[0].outcomes) == 1
        other = await world.wire()
        assert (await other.ask(get())).status == 200


async def test_a_connection_that_the_endpoint_closes_is_forgotten(
    world: World, backend: Backend
) -> None:
    """An idle connection that ends is not tried."""
    wire = await world.wire()
    await wire.ask(get())
    assert world.front.pool.connections == 1
    await backend.hang_up()
    await until(lambda: world.front.pool.connections == 0)
    assert (await wire.ask(get())).status == 200
    assert len(backend.requests) == 2
