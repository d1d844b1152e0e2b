"""What a client sees of its connection: order, keep-alive, bodies, refusals."""

import asyncio

import pytest

from modelrunner.gateway.http import FrontSettings
from modelrunner.gateway.messages import Answer
from tests.support.http_backend import Backend, Step
from tests.support.http_front import Desk, World, fronting
from tests.support.http_wire import chunked, get, post, until


async def test_a_connection_serves_many_requests(world: World, backend: Backend) -> None:
    """Keep-alive on both sides: one connection of the client needs one to the backend."""
    wire = await world.wire()
    for number in range(20):
        reply = await wire.ask(post(b"x" * number))
        assert (reply.status, reply.body) == (200, b"ok")
        assert reply.value("connection") is None
    assert backend.accepted == 1
    assert [len(request.body) for request in backend.requests] == list(range(20))


async def test_close_is_respected(world: World) -> None:
    """Connection: close is answered with close, and the connection ends."""
    wire = await world.wire()
    reply = await wire.ask(get("/", "Connection: close"))
    assert reply.value("connection") == "close"
    assert await wire.at_end()


@pytest.mark.parametrize(
    ("header", "kept"), [("Accept: */*", False), ("Connection: keep-alive", True)]
)
async def test_http_1_0(world: World, header: str, kept: bool) -> None:
    """An old client's connection ends after the answer, unless it asks for more."""
    wire = await world.wire()
    reply = await wire.ask(get("/", header, version="1.0"))
    assert reply.body == b"ok"
    assert reply.value("connection") == ("keep-alive" if kept else "close")
    if kept:
        assert (await wire.ask(get("/", version="1.0"))).status == 200
    assert await wire.at_end()


async def test_http_1_0_gets_no_chunks(world: World, backend: Backend) -> None:
    """What comes chunked is decoded for a client that does not know the coding."""
    backend.script = lambda _: [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"one", b"two")
    ]
    wire = await world.wire()
    reply = await wire.ask(get("/", "Connection: keep-alive", version="1.0"))
    assert reply.values("transfer-encoding") == []
    assert reply.body == b"onetwo"


async def test_pipelined_requests_are_answered_in_order(world: World, backend: Backend) -> None:
    """Requests sent at once, own answers among them, come back in their order."""
    desk = world.desk
    desk.route = lambda request: (
        desk.forward() if request.path.startswith("/f") else Answer(200, request.path.encode())
    )
    backend.script = lambda r: [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + r.line.split(b" ")[1][1:]
    ]
    wire = await world.wire()
    paths = ["/f00", "/a01", "/a02", "/f03", "/f04", "/a05"] * 5
    wire.send(b"".join(get(path) for path in paths))
    for path in paths:
        reply = await wire.reply()
        assert reply.body.decode().strip("/") == path.strip("/")


async def test_pipelining_is_bounded(backend: Backend) -> None:
    """A client that goes on sending before its answer is not read further, and loses nothing."""
    go = asyncio.Event()
    backend.script = lambda _: [go, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]
    async with fronting(Desk(backend.endpoint), FrontSettings(pipeline_limit=1000)) as world:
        wire = await world.wire()
        count = 400
        for _ in range(count):
            wire.send(get("/", "A: " + "x" * 10_000))
        await backend.arrived.get()
        (client,) = world.front.clients
        await until(lambda: not client.transport.is_reading())
        assert client.waiting_bytes < 400_000
        go.set()
        for _ in range(count):
            assert (await wire.reply()).status == 200


async def test_an_error_comes_after_the_answers_before_it(world: World) -> None:
    """Malformed bytes behind good requests spoil none of them."""
    wire = await world.wire()
    wire.send(get() + get() + b"\x00\x01nonsense\r\n\r\n")
    assert (await wire.reply()).status == 200
    assert (await wire.reply()).status == 200
    reply = await wire.reply()
    assert (reply.status, reply.value("connection")) == (400, "close")
    assert await wire.at_end()


async def test_chunked_bodies_arrive_whole(world: World, backend: Backend) -> None:
    """A chunked body, in any pieces, is sent on with its length."""
    wire = await world.wire()
    body = chunked(b"a" * 10, b"b" * 5000, b"c")
    head = get("/x", "Transfer-Encoding: chunked", method="POST")
    for step in (1, 7, 100_000):
        data = head + body
        for start in range(0, len(data), step):
            wire.send(data[start : start + step])
            if step < 100:
                await asyncio.sleep(0)
        assert (await wire.reply()).status == 200
    for request in backend.requests:
        assert request.body == b"a" * 10 + b"b" * 5000 + b"c"
        assert request.values(b"content-length") == [b"5011"]
        assert request.values(b"transfer-encoding") == []


async def test_continue_is_said_before_the_body(world: World, backend: Backend) -> None:
    """A client that expects 100 gets it, sends its body, and is answered."""
    wire = await world.wire()
    wire.send(get("/x", "Expect: 100-continue", "Content-Length: 3", method="POST"))
    assert (await wire.head())[0] == 100
    reply = await wire.ask(b"abc")
    assert reply.status == 200
    assert backend.requests[0].body == b"abc"
    assert backend.requests[0].values(b"expect") == []


async def test_continue_is_not_said_when_the_body_is_there(world: World) -> None:
    """With the body on its way, or without any, 100 is left out."""
    wire = await world.wire()
    wire.send(get("/x", "Expect: 100-continue", "Content-Length: 3", method="POST") + b"abc")
    assert (await wire.head())[0] == 200
    await wire.reader.readexactly(2)
    wire.send(get("/x", "Expect: 100-continue"))
    assert (await wire.head())[0] == 200


async def test_other_expectations_fail(world: World) -> None:
    """417, and the connection ends, since the body may come or not."""
    wire = await world.wire()
    reply = await wire.ask(get("/", "Expect: a-miracle", method="POST"))
    assert reply.status == 417
    assert await wire.at_end()


@pytest.mark.parametrize("extra", ["Content-Length: 101", "Transfer-Encoding: chunked"])
async def test_a_body_above_the_limit(backend: Backend, extra: str) -> None:
    """413, told or not, and the answer arrives although the client is still sending."""
    async with fronting(Desk(backend.endpoint), FrontSettings(body_limit=100)) as world:
        wire = await world.wire()
        wire.send(get("/v1/x", extra, method="POST"))
        wire.send(b"65\r\n" + b"x" * 200_000)
        reply = await wire.reply()
        assert reply.status == 413
        assert reply.body.startswith(b"/v1/x ")
    assert backend.requests == []


async def test_all_bodies_together_are_bounded(backend: Backend) -> None:
    """503 with Retry-After when this process holds too much; room again when bodies are done."""
    settings = FrontSettings(total_body_limit=1000)
    go = asyncio.Event()
    backend.script = lambda _: [go, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]
    async with fronting(Desk(backend.endpoint), settings) as world:
        first, second = await world.wire(), await world.wire()
        first.send(post(b"x" * 900))
        await backend.arrived.get()
        reply = await second.ask(post(b"x" * 101))
        assert (reply.status, reply.value("retry-after")) == (503, "1")
        assert await second.at_end()
        go.set()
        assert (await first.reply()).status == 200
        assert world.front.ledger.held == 0
        assert (await first.ask(post(b"x" * 1000))).status == 200


async def test_the_body_is_let_go_with_the_first_byte(world: World, backend: Backend) -> None:
    """Nothing is kept of a request whose answer has begun: it is never sent again."""
    go = asyncio.Event()
    begin = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    backend.script = lambda _: [begin, go, b"ok"]
    wire = await world.wire()
    wire.send(post(b"x" * 1000))
    await wire.head()
    assert world.front.ledger.held == 0
    assert world.desk.requests[0].body == b""
    go.set()
    assert await wire.reader.readexactly(2) == b"ok"


async def test_upgrades_are_ignored(world: World, backend: Backend) -> None:
    """An offer to switch protocols is no reason not to answer, and goes no further."""
    wire = await world.wire()
    headers = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAM")
    for _ in range(2):
        assert (await wire.ask(post(b"abc", "/x", *headers))).status == 200
    for request in backend.requests:
        assert request.body == b"abc"
        names = {name for name, _ in request.headers}
        assert not names & {b"upgrade", b"connection", b"http2-settings"}


@pytest.mark.parametrize("reset", [False, True])
async def test_a_client_that_leaves_ends_its_request(
    world: World, backend: Backend, reset: bool
) -> None:
    """The backend's connection is closed at once when the client goes, before an answer."""
    backend.script = lambda _: [asyncio.Event()]
    wire = await world.wire()
    wire.send(post(b"{}"))
    await backend.arrived.get()
    wire.close(reset=reset)
    async with asyncio.timeout(60):
        assert await backend.ended.get() == 1
    (note,) = world.desk.notes
    assert [outcome.value for outcome in note.outcomes] == ["client_left"]
    assert not note.failures


async def test_a_client_that_leaves_a_stream_ends_it(world: World, backend: Backend) -> None:
    """So it is within an answer."""
    steps: list[Step] = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n",
        asyncio.Event(),
    ]
    backend.script = lambda _: steps
    wire = await world.wire()
    wire.send(post(b"{}"))
    await wire.head()
    assert await wire.chunk() == b"one"
    wire.close()
    async with asyncio.timeout(60):
        await backend.ended.get()
    assert [outcome.value for outcome in world.desk.notes[0].outcomes] == ["client_left"]
    assert world.desk.notes[0].tail == b"one"


async def test_a_decider_that_fails_is_a_500(backend: Backend) -> None:
    """A defect of ours is an answer, and the connection goes on."""

    def route(_: object) -> Answer:
        raise ValueError("a defect")

    async with fronting(Desk(backend.endpoint, route)) as world:
        wire = await world.wire()
        for _ in range(2):
            assert (await wire.ask(get())).status == 500


async def test_the_request_that_a_decider_sees(world: World) -> None:
    """Path, query, names, id, client: as messages.Request says."""
    wire = await world.wire()
    await wire.ask(
        get("//a%2Fb///c?x=1&y=/", "X-Thing:  two words \t", "X-Request-Id: my-id", method="DELETE")
    )
    (request,) = world.desk.requests
    assert (request.method, request.path, request.query) == ("DELETE", "/a%2Fb/c", b"x=1&y=/")
    assert request.headers == [
        (b"host", b"test"),
        (b"x-thing", b"two words"),
        (b"x-request-id", b"my-id"),
    ]
    assert (request.id, request.client, request.body) == (b"my-id", "127.0.0.1", b"")
    assert 0 <= world.front.loop.time() - request.received_at < 100


async def test_headers_changed_by_a_decider_stay_with_their_request(
    world: World, backend: Backend
) -> None:
    """What routing adds to one request is not there in the next on the same connection."""
    desk = world.desk

    def route(request: object) -> object:
        if len(desk.requests) == 2:
            desk.requests[-1].headers.append((b"x-added", b"once"))
        return desk.forward()

    desk.route = route  # type: ignore[assignment] # what it returns is a Forward
    wire = await world.wire()
    for number in range(4):
        await wire.ask(post(b"x" * number))
    assert [len(request.values(b"x-added")) for request in backend.requests] == [0, 1, 0, 0]
    assert [request.values(b"content-length") for request in backend.requests] == [
        [b"0"],
        [b"1"],
        [b"2"],
        [b"3"],
    ]
