"""How answers are passed on: framing, tails, streams that break off, slow readers."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelrunner.gateway.http import FrontSettings
from modelrunner.gateway.http.client import Client
from modelrunner.gateway.messages import Outcome
from tests.support.http_backend import STREAM, Backend, Hangup, Pause, Reset, Step
from tests.support.http_front import CLOCK_BY_HAND, Desk, World, fronting
from tests.support.http_wire import chunked, get, post, until

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
PIECES = [b"one", b"x" * 70_000, b"\r\n0\r\n\r\n", b"\x00" * 300]
WHOLE = b"".join(PIECES)
FRAMINGS = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(WHOLE), WHOLE),
    "chunked": CHUNKED + chunked(*PIECES),
    "extended": CHUNKED + chunked(*PIECES).replace(b"3\r\none", b"3;a=b\r\none"),
    "trailers": CHUNKED + chunked(*PIECES)[:-2] + b"A: b\r\n\r\n",
    "until close": UNTIL_CLOSE + WHOLE,
}


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("step", [1_000_000, 7, 1])
@pytest.mark.parametrize("name", FRAMINGS)
async def test_framings(world: World, backend: Backend, name: str, step: int, version: str) -> None:
    """Each way to end a body arrives as the same body, however it is split."""
    data = FRAMINGS[name]
    # Small steps around the places that matter, the middle at once.
    edge = 120 if step < 100 else 0
    parts = [data[at : at + step] for at in range(0, edge, step)]
    parts += [data[len(b"".join(parts)) : len(data) - edge]]
    parts += [
        data[at : min(at + step, len(data))] for at in range(len(data) - edge, len(data), step)
    ]
    assert b"".join(parts) == data or not edge
    steps: list[Step] = []
    for part in parts:
        steps += [part, tick()]
    if name == "until close":
        steps.append(Hangup())
    backend.script = lambda _: steps
    wire = await world.wire()
    reply = await wire.ask(get(version=version))
    assert not reply.cut
    assert reply.body == WHOLE
    assert reply.value("a") is None
    (note,) = world.desk.notes
    await note.ended.wait()
    assert (note.statuses, note.outcomes, note.tail) == ([200], [Outcome.COMPLETE], WHOLE[-4096:])
    if version == "1.1":
        backend.script = lambda _: [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]
        assert (await wire.ask(get())).body == b""


def tick() -> asyncio.Event:
    """Set in the next round of the loop, so that what is written before leaves by itself."""
    event = asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)
    return event


async def test_chunks_are_passed_on_as_they_come(world: World, backend: Backend) -> None:
    """A stream's head and each event arrive before the next is written."""
    gates = [asyncio.Event() for _ in range(4)]
    events = [b"data: %d\n\n" % number for number in range(3)]
    steps: list[Step] = [STREAM, gates[0]]
    for event, gate in zip(events, gates[1:], strict=True):
        steps += [b"%x\r\n%b\r\n" % (len(event), event), gate]
    backend.script = lambda _: [*steps, b"0\r\n\r\n"]
    wire = await world.wire()
    wire.send(post(b"{}"))
    await wire.head()
    for gate, event in zip(gates, events, strict=False):
        gate.set()
        assert await wire.chunk() == event
    gates[3].set()
    assert await wire.chunk() == b""
    assert world.desk.notes[0].tail == b"".join(events)


async def test_the_tail_is_bounded(world: World, backend: Backend) -> None:
    """The last 4 KiB of a long answer, in however many chunks."""
    events = [b"%06d" % number for number in range(3000)]
    backend.script = lambda _: [CHUNKED, *(chunked(event)[:-5] for event in events), b"0\r\n\r\n"]
    wire = await world.wire()
    reply = await wire.ask(get())
    assert reply.body == b"".join(events)
    assert world.desk.notes[0].tail == reply.body[-4096:]


async def test_the_tail_of_many_tiny_chunks(world: World, backend: Backend) -> None:
    """What a chunk costs besides its payload does not count, whichever way it was read."""
    go = asyncio.Event()
    backend.script = lambda _: [CHUNKED, go, b"0\r\n\r\n"]
    wire = await world.wire()
    wire.send(get())
    await wire.head()
    (client,) = world.front.clients
    assert client.exchange is not None
    assert client.exchange.upstream is not None
    upstream = client.exchange.upstream
    for _ in range(3):
        for _ in range(2500):
            upstream.data_received(b"1\r\nx\r\n")
        upstream.data_received(b"1\r\ny\r\n1\r\nz\r\n")
    go.set()
    while await wire.chunk():
        pass
    assert world.desk.notes[0].tail == ((b"x" * 2500 + b"yz") * 3)[-4096:]


BREAKS: list[Step] = [Hangup(), Reset(), b"zz\r\n"]


@pytest.mark.parametrize("step", BREAKS, ids=["closed", "reset", "malformed"])
@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", b""),
        (b"8\r\ndata: a\n\r\n", b"data: a\n"),
        (b"9\r\ndata: a\n\n\r\n", b"data: a\n\n"),
        (b"ff\r\ndata: par", b"data: par"),
    ],
)
async def test_a_stream_that_breaks_off_says_so(
    world: World, backend: Backend, step: Step, sent: bytes, expected: bytes
) -> None:
    """Its last event is an error, and its framing ends in order, even within a chunk."""
    if isinstance(step, bytes) and sent.endswith(b"par"):
        step = Hangup()
    backend.script = lambda _: [STREAM, sent, Pause(), step] if sent else [STREAM, Pause(), step]
    wire = await world.wire()
    reply = await wire.ask(post(b"{}"))
    assert not reply.cut
    events = reply.body.removeprefix(expected)
    assert events in {
        b'data: {"error": "broken"}\n\n',
        b'\n\ndata: {"error": "broken"}\n\n',
    }
    assert events.startswith(b"\n") == bool(expected and not expected.endswith(b"\n\n"))
    (note,) = world.desk.notes
    assert note.outcomes == [Outcome.BROKEN_OFF]
    assert note.failures == []
    backend.script = lambda _: [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]
    assert (await wire.ask(get())).status == 200


@pytest.mark.parametrize("step", [Hangup(), Reset()], ids=["closed", "reset"])
@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        CHUNKED + b"4\r\nhalf\r\n",
        CHUNKED + b"8\r\nhalf",
        CHUNKED + b"4\r\nhalf\r\n0\r\n",
        STREAM.replace(b"Transfer-Encoding: chunked", b"Content-Length: 10") + b"half",
    ],
)
async def test_a_body_that_breaks_off_is_not_taken_for_whole(
    world: World, backend: Backend, sent: bytes, step: Step
) -> None:
    """The client gets what there was, and sees that it is not all."""
    backend.script = lambda _: [sent, Pause(), step]
    wire = await world.wire()
    reply = await wire.ask(post(b"{}"))
    assert reply.cut
    assert reply.body == b"half"
    assert world.desk.notes[0].outcomes == [Outcome.BROKEN_OFF]


@pytest.mark.parametrize(
    "sent", [UNTIL_CLOSE + b"half", CHUNKED + b"4\r\nhalf\r\n", STREAM + b"4\r\nhalf\r\n"]
)
async def test_an_old_client_sees_a_break_as_a_reset(
    world: World, backend: Backend, sent: bytes
) -> None:
    """Where the end of the connection would be the end of the body, it is no orderly end."""
    go = asyncio.Event()
    backend.script = lambda _: [sent, go, Reset()]
    wire = await world.wire()
    wire.send(get(version="1.0"))
    await wire.head()
    assert await wire.reader.readexactly(4) == b"half"
    go.set()
    with pytest.raises(ConnectionResetError):
        await wire.reader.read()


async def test_an_answer_that_stands_still_is_broken_off(backend: Backend) -> None:
    """An endpoint that says nothing more within an answer is given up after the timeout."""
    backend.script = lambda _: [STREAM, b"3\r\none\r\n", asyncio.Event()]
    settings = FrontSettings(first_byte_timeout=600, sweep_interval=CLOCK_BY_HAND)
    async with fronting(Desk(backend.endpoint), settings) as world:
        wire = await world.wire()
        wire.send(post(b"{}"))
        await wire.head()
        assert await wire.chunk() == b"one"
        # The first only sees that there was something lately.
        world.pass_time(500)
        world.pass_time(CLOCK_BY_HAND + 601)
        assert (await wire.chunk()).endswith(b'data: {"error": "broken"}\n\n')
        async with asyncio.timeout(60):
            await backend.ended.get()


async def test_a_slow_reader_costs_no_memory(world: World, backend: Backend) -> None:
    """A large answer waits in the backend while its client does not read, and arrives whole."""
    size = 64 * 1024 * 1024
    block = bytes(range(256)) * 1024
    count = size // len(block)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
    written = 0

    def blocks() -> Iterator[Step]:
        nonlocal written
        yield head
        for written in range(count):  # noqa: B007 - read by the test
            yield block

    backend.script = lambda _: blocks()
    wire = await world.wire()
    before = resident()
    wire.send(get())
    await wire.head()
    wire.stop_reading()
    client = await stalled(world)
    assert client.transport.get_write_buffer_size() < 2 * 1024 * 1024
    assert resident() - before < 24 * 1024 * 1024
    assert written < count - 1
    wire.read_on()
    for _ in range(count):
        assert await wire.reader.readexactly(len(block)) == block
    await world.desk.notes[0].ended.wait()
    assert world.desk.notes[0].outcomes == [Outcome.COMPLETE]


def resident() -> int:
    """Bytes of memory that this process has."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


async def stalled(world: World) -> Client:
    """The only client, once nothing more goes to it: all on the way to it is full."""
    (client,) = world.front.clients
    await until(lambda: client.paused)
    sizes: list[int] = []
    while len(sizes) < 50 or len(set(sizes[-50:])) > 1:
        sizes.append(client.transport.get_write_buffer_size())
        await asyncio.sleep(0.002)
    return client


async def test_a_reader_that_stands_still_is_cut(backend: Backend) -> None:
    """After the stall timeout its connection and the endpoint's are ended."""
    backend.script = lambda _: [
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
        *[b"x" * 100_000] * 999,
    ]
    settings = FrontSettings(stall_timeout=60, sweep_interval=CLOCK_BY_HAND)
    async with fronting(Desk(backend.endpoint), settings) as world:
        wire = await world.wire()
        wire.send(get())
        await wire.head()
        wire.stop_reading()
        await stalled(world)
        # What the kernel has taken since counts as progress, once.
        world.pass_time(1)
        world.pass_time(CLOCK_BY_HAND + 61)
        await until(lambda: world.front.connections == 0)
        (note,) = world.desk.notes
        assert note.outcomes == [Outcome.CLIENT_LEFT]
        assert world.front.in_flight == 0
        async with asyncio.timeout(60):
            await backend.ended.get()


async def test_a_reader_that_is_slow_is_not_cut(backend: Backend) -> None:
    """As long as it takes something within the timeout, it may take its time."""
    count = 12
    block = b"x" * 4_000_000
    backend.script = lambda _: [
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (count * len(block)),
        *[block] * count,
    ]
    settings = FrontSettings(stall_timeout=60, sweep_interval=CLOCK_BY_HAND)
    async with fronting(Desk(backend.endpoint), settings) as world:
        wire = await world.wire()
        wire.send(get())
        await wire.head()
        for _ in range(count):
            assert await wire.reader.readexactly(len(block)) == block
            world.pass_time(CLOCK_BY_HAND + 30)
        await world.desk.notes[0].ended.wait()
        assert world.desk.notes[0].outcomes == [Outcome.COMPLETE]
