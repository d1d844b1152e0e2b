"""Held requests: what a client sees and hears while it waits."""

import asyncio

import pytest

from modelrunner.gateway.http import FrontSettings
from modelrunner.gateway.messages import Answer, Forward, Held, Outcome, Request
from tests.support.http_backend import STREAM, Backend, Hangup, Pause
from tests.support.http_front import CLOCK_BY_HAND, Desk, World, fronting
from tests.support.http_wire import Wire, chunked, post, until

BEAT = b": waking\n\n"


class Waiter(Held):
    """Held until a test decides."""

    def __init__(self, *, stream: bool, patience: float, interval: float) -> None:
        self.decided: asyncio.Future[Forward | Answer] = asyncio.get_running_loop().create_future()
        self.stream = stream
        self.heartbeat = BEAT
        self.patience = patience
        self.interval = interval
        self.left = False

    def leave(self) -> None:
        """Part of Held."""
        self.left = True

    def event(self, status: int, body: bytes) -> bytes:
        """Part of Held."""
        return b"data: %d %b\n\n" % (status, body)


def holding(world: World, *, stream: bool = False, patience: float = 0.0) -> list[Waiter]:
    """Let the desk hold all requests from now on; the list fills as they come."""
    waiters: list[Waiter] = []

    def route(_: Request) -> Waiter:
        waiters.append(Waiter(stream=stream, patience=patience, interval=0.01))
        return waiters[-1]

    world.desk.route = route
    return waiters


async def test_released_to_a_runner(world: World) -> None:
    """The request goes where the decision says, with the headers that it adds."""
    waiters = holding(world)
    wire = await world.wire()
    wire.send(post(b"body"))
    await until(lambda: bool(waiters))
    forward = world.desk.forward()
    forward.extra = [(b"X-Model-Cold-Start", b"1.5")]
    waiters[0].decided.set_result(forward)
    reply = await wire.reply()
    assert (reply.status, reply.body) == (200, b"ok")
    assert reply.value("x-model-cold-start") == "1.5"
    timing = reply.value("server-timing")
    assert timing is not None


async def test_the_wait_is_not_our_share(world: World) -> None:
    """Server-Timing tells what the gateway did, not how long the model woke."""
    waiters = holding(world)
    wire = await world.wire()
    wire.send(post(b"body"))
    await until(lambda: bool(waiters))
    await asyncio.sleep(2.0)
    waiters[0].decided.set_result(world.desk.forward())
    timing = (await wire.reply()).value("server-timing") or ""
    assert float(timing.partition("=")[2]) < 1900


async def test_answered(world: World) -> None:
    """A decision may be an answer."""
    waiters = holding(world)
    wire = await world.wire()
    wire.send(post(b"body"))
    await until(lambda: bool(waiters))
    waiters[0].decided.set_result(Answer(503, b"too long", [(b"retry-after", b"5")]))
    reply = await wire.reply()
    assert (reply.status, reply.body, reply.value("retry-after")) == (503, b"too long", "5")


@pytest.mark.parametrize("fails", [False, True])
async def test_a_wait_without_an_end(world: World, fails: bool) -> None:
    """A future that is cancelled or fails is a 503, never a client that waits for ever."""
    waiters = holding(world)
    wire = await world.wire()
    wire.send(post(b"body"))
    await until(lambda: bool(waiters))
    if fails:
        waiters[0].decided.set_exception(ValueError("a defect"))
    else:
        waiters[0].decided.cancel()
    assert (await wire.reply()).status == 503


async def test_leaving(world: World) -> None:
    """A client that goes is told to the hold, and what is decided later goes nowhere."""
    waiters = holding(world, stream=True)
    wire = await world.wire()
    wire.send(post(b"body"))
    await until(lambda: bool(waiters))
    wire.close()
    await until(lambda: waiters[0].left)
    waiters[0].decided.set_result(world.desk.forward())
    await until(lambda: world.front.connections == 0)
    assert world.front.in_flight == 0
    assert world.desk.notes[0].outcomes == []


async def test_a_held_request_does_not_expire(backend: Backend) -> None:
    """The hold has a timeout of its own; the front's are for who sends or reads."""
    settings = FrontSettings(sweep_interval=CLOCK_BY_HAND)
    async with fronting(Desk(backend.endpoint), settings) as world:
        waiters = holding(world)
        wire = await world.wire()
        wire.send(post(b"body"))
        await until(lambda: bool(waiters))
        for _ in range(3):
            world.pass_time(CLOCK_BY_HAND * 10)
        waiters[0].decided.set_result(Answer(200, b"patience"))
        assert (await wire.reply()).body == b"patience"


async def test_a_stream_hears_heartbeats(world: World, backend: Backend) -> None:
    """After its patience: 200, an event stream, heartbeats; then the runner's events in it."""
    events = [b"data: one\n\n", b"data: [DONE]\n\n"]
    backend.script = lambda _: [STREAM, chunked(*events)]
    waiters = holding(world, stream=True)
    wire = await world.wire()
    wire.send(post(b"body"))
    status, head = await wire.head()
    assert status == 200
    for line in (
        b"Content-Type: text/event-stream",
        b"X-Model-Cold-Start: 0.",
        b"Cache-Control: no-cache",
        b"X-Accel-Buffering: no",
        b"Transfer-Encoding: chunked",
        b"X-Docker-Model-Runner: true",
    ):
        assert line in head
    for _ in range(3):
        assert await wire.chunk() == BEAT
    waiters[0].decided.set_result(world.desk.forward())
    rest = []
    while payload := await wire.chunk():
        rest.append(payload)
    assert b"".join(rest).replace(BEAT, b"") == b"".join(events)
    assert world.desk.notes[0].outcomes == [Outcome.COMPLETE]
    assert backend.requests[0].body == b"body"
    world.desk.route = None
    backend.script = lambda _: [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]
    assert (await wire.ask(post(b"{}"))).body == b"ok"


async def test_a_patient_stream_gets_a_plain_answer(world: World) -> None:
    """A decision within the patience is answered as if nothing had been."""
    waiters = holding(world, stream=True, patience=60.0)
    wire = await world.wire()
    wire.send(post(b"body"))
    await until(lambda: bool(waiters))
    waiters[0].decided.set_result(Answer(404, b"gone"))
    assert (await wire.reply()).status == 404


async def opened(world: World) -> tuple[Waiter, Wire]:
    """A held stream that has begun, and its wire."""
    waiters = holding(world, stream=True)
    wire = await world.wire()
    wire.send(post(b"body"))
    await wire.head()
    assert await wire.chunk() == BEAT
    return waiters[0], wire


async def rest_of(wire: Wire) -> bytes:
    """What comes until the stream's end, without heartbeats."""
    parts = []
    while payload := await wire.chunk():
        parts.append(payload)
    return b"".join(parts).replace(BEAT, b"")


async def test_an_opened_stream_ends_in_an_error(world: World) -> None:
    """The status is spoken for, so the error is an event."""
    waiter, wire = await opened(world)
    waiter.decided.set_result(Answer(503, b"too long"))
    assert await rest_of(wire) == b"data: 503 too long\n\n"


async def test_an_opened_stream_and_a_runner_that_says_no(world: World, backend: Backend) -> None:
    """An answer that is not 200 becomes an event, in whichever framing it came."""
    for answer in (
        b"HTTP/1.1 400 Bad\r\nContent-Length: 5\r\n\r\nwrong",
        b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"wr", b"ong"),
        b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nwr\r\n",
    ):
        rest = [b"3\r\nong\r\n", b"0\r\n\r\n"] if answer.endswith(b"wr\r\n") else []
        steps = [answer, *(step for each in rest for step in (Pause(), each))]
        backend.script = lambda _, steps=steps: steps  # type: ignore[misc] # a default binds
        waiter, wire = await opened(world)
        waiter.decided.set_result(world.desk.forward())
        assert await rest_of(wire) == b"data: 400 wrong\n\n"
    assert [note.outcomes for note in world.desk.notes] == [[Outcome.COMPLETE]] * 3


async def test_an_opened_stream_whose_runner_breaks_off(world: World, backend: Backend) -> None:
    """It ends with the ticket's event."""
    backend.script = lambda _: [STREAM, b"b\r\ndata: one\n\n\r\n", Hangup()]
    waiter, wire = await opened(world)
    waiter.decided.set_result(world.desk.forward())
    assert await rest_of(wire) == b'data: one\n\ndata: {"error": "broken"}\n\n'


async def test_an_opened_stream_that_is_held_again(world: World, backend: Backend) -> None:
    """A runner that is gone on release: the stream goes on hearing heartbeats."""
    async with Backend() as gone:
        nobody = gone.endpoint
    waiter, wire = await opened(world)
    again = Waiter(stream=True, patience=60.0, interval=0.01)
    forward = world.desk.forward(nobody)
    world.desk.notes[-1].answers.append(again)
    waiter.decided.set_result(forward)
    for _ in range(3):
        assert await wire.chunk() == BEAT
    again.decided.set_result(Answer(500, b"no"))
    assert await rest_of(wire) == b"data: 500 no\n\n"


async def test_a_held_stream_of_an_old_client(world: World, backend: Backend) -> None:
    """HTTP/1.0: no chunks, and the end of the connection is the end."""
    backend.script = lambda _: [STREAM, chunked(b"data: one\n\n")]
    waiters = holding(world, stream=True)
    wire = await world.wire()
    wire.send(post(b"body").replace(b"HTTP/1.1", b"HTTP/1.0"))
    _, head = await wire.head()
    assert b"Connection: close" in head
    assert await wire.reader.readexactly(len(BEAT)) == BEAT
    waiters[0].decided.set_result(world.desk.forward())
    assert (await wire.reader.read()).replace(BEAT, b"") == b"data: one\n\n"
