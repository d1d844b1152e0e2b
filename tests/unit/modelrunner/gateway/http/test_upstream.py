"""What an endpoint is sent, and what becomes of what it answers."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from modelrunner.gateway.http import FrontSettings
from modelrunner.gateway.messages import Answer, Endpoint, Failure, Outcome
from tests.support.http_front import (
    CLOCK_BY_HAND,
    OK,
    Backend,
    Desk,
    Hangup,
    Reset,
    Step,
    World,
    chunked,
    fronting,
    get,
    listening,
    post,
    until,
)

EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


async def test_what_a_runner_is_sent(world: World, backend: Backend) -> None:
    """Its own Host, the length, the id; nothing hop-by-hop, no credentials, no inner words."""
    wire = await world.wire()
    dropped = (
        "Connection: keep-alive, X-Hop",
        "X-Hop: 1",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic x",
        "TE: trailers",
        "Trailer: X",
        "Upgrade: h2c",
        "Authorization: Bearer secret",
        "X-API-Key: secret",
        "Api-Key: secret",
        "Cookie: secret",
        "X-ModelRunner-Models: *",
    )
    kept = ("Content-Type: application/json", "X-Thing: a", "X-Thing: b", "Traceparent: 00-1-1-1")
    for _ in range(2):
        await wire.ask(post(b"{}", "/v1/x?a=b", *dropped, *kept, "X-Request-Id: it"))
    for request in backend.requests:
        assert request.line == b"POST /v1/x?a=b HTTP/1.1"
        assert sorted(request.headers) == [
            (b"content-length", b"2"),
            (b"content-type", b"application/json"),
            (b"host", b"127.0.0.1:%d" % backend.port),
            (b"traceparent", b"00-1-1-1"),
            (b"x-request-id", b"it"),
            (b"x-thing", b"a"),
            (b"x-thing", b"b"),
        ]


async def test_what_the_back_office_is_sent(tmp_path: Path) -> None:
    """On a socket of our own, routing's words are passed on; credentials are not."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)
        await reader.read()

    desk = Desk()

    def route(_: object) -> object:
        request = desk.requests[-1]
        request.headers.append((b"x-modelrunner-models", b"ml/*"))
        return desk.forward()

    desk.route = route  # type: ignore[assignment] # what it returns is a Forward
    async with listening(serve, str(tmp_path / "o.sock")) as desk.endpoint, fronting(desk) as world:
        wire = await world.wire()
        headers = ("Authorization: Bearer x", "Connection: X-ModelRunner-Models", "X-A: b")
        assert (await wire.ask(get("/v1/models", *headers))).body == b"ok"
    (head,) = heads
    assert b"\r\nhost: localhost\r\n" in head
    assert b"\r\nx-modelrunner-models: ml/*\r\n" in head
    assert b"\r\nx-a: b\r\n" in head
    assert b"authorization" not in head


async def test_what_a_client_gets(world: World, backend: Backend) -> None:
    """The endpoint's fields but those of its hop; the id, the marks, the gateway's time."""
    backend.script = lambda _: [
        (
            b"HTTP/1.1 201 Made Up\r\nContent-Type: a/b\r\nX-Runner: r\r\nSet-Cookie: a\r\n"
            b"Set-Cookie: b\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=1\r\n"
            b"X-Request-Id: theirs\r\nX-Docker-Model-Runner: false\r\nUpgrade: h2c\r\n"
            b"Content-Length: 2\r\n\r\nok"
        )
    ]
    wire = await world.wire()
    for number in range(2):
        reply = await wire.ask(post(b"{}", "/", f"X-Request-Id: id-{number}"))
        assert reply.head.startswith(b"HTTP/1.1 201 Made Up\r\n")
        assert reply.value("content-type") == "a/b"
        assert reply.value("x-runner") == "r"
        assert reply.values("set-cookie") == ["a", "b"]
        assert reply.value("x-request-id") == f"id-{number}"
        assert reply.value("x-docker-model-runner") == "true"
        timing = reply.value("server-timing")
        assert timing is not None
        assert timing.startswith("gateway;dur=")
        assert 0 < float(timing.partition("=")[2]) < 10_000
        for name in ("connection", "x-hop", "keep-alive", "upgrade"):
            assert reply.values(name) == []


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "\xe9", "one\r\nX-Request-Id: two"])
async def test_an_id_that_is_not_well_formed_is_replaced(world: World, given: str) -> None:
    """Each request gets an id of its own, in the answer and for the endpoint."""
    wire = await world.wire()
    data = get("/", "X-Request-Id: @").replace(b"@", given.encode("latin-1"))
    ids = {(await wire.ask(data)).value("x-request-id") for _ in range(3)}
    assert len(ids) == 3
    assert given not in ids
    assert {request.id.decode() for request in world.desk.requests} == ids


@pytest.mark.parametrize(
    ("method", "answer", "told"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", "100"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        ("HEAD", b"HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\n", "5"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", None),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n", "100"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\n\r\n", None),
    ],
)
async def test_answers_without_a_body(
    world: World, backend: Backend, method: str, answer: bytes, told: str | None
) -> None:
    """They end with their head, whatever it says, and both connections go on."""
    backend.script = lambda _: [answer]
    wire = await world.wire()
    for _ in range(3):
        reply = await wire.ask(get(method=method), bodiless=True)
        assert reply.value("content-length") == told
        assert reply.values("transfer-encoding") == []
    backend.script = lambda _: [OK]
    assert (await wire.ask(get())).body == b"ok"
    assert backend.accepted == 1


async def test_a_head_among_gets(world: World, backend: Backend) -> None:
    """The same head is of an answer with a body to GET, and without to HEAD."""
    backend.script = lambda r: [OK if r.line.startswith(b"GET") else OK[:-2]]
    wire = await world.wire()
    for _ in range(3):
        assert (await wire.ask(get())).body == b"ok"
        assert (await wire.ask(get(method="HEAD"), bodiless=True)).value("content-length") == "2"
    assert backend.accepted == 1


async def test_interim_answers_are_not_passed_on(world: World, backend: Backend) -> None:
    """100, 102 and 103 of an endpoint are left out, in one piece or in many."""
    interim = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    )
    backend.script = lambda _: [interim + OK]
    wire = await world.wire()
    wire.send(get())
    assert (await wire.head())[0] == 200
    assert await wire.reader.readexactly(2) == b"ok"
    backend.script = lambda _: [interim[:30], asyncio_gap(), interim[30:], OK]
    wire.send(get())
    assert (await wire.head())[0] == 200


def asyncio_gap() -> asyncio.Event:
    """A moment's wait between two writes."""
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, event.set)
    return event


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
    async with asyncio.timeout(10):
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


async def test_no_connection_in_time(backend: Backend) -> None:
    """A listener that does not accept is unreachable after the connect timeout."""
    async with fronting(Desk(), FrontSettings(connect_timeout=0.05)) as world:
        # No host answers for this address (RFC 5737), or the kernel says so at once.
        nowhere = Endpoint("nowhere", ("192.0.2.1", 9))
        world.desk.endpoint = nowhere
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
        async with asyncio.timeout(10):
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
    backend.script = lambda r: [EMPTY] if r.connection > 1 else [OK, asyncio_gap(), Reset()]
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
        async with asyncio.timeout(10):
            await ended.wait()


async def test_what_an_answer_may_say_of_its_connection(world: World, backend: Backend) -> None:
    """Connection: close and HTTP/1.0 end an endpoint's connection, not the client's."""
    wire = await world.wire()
    for answer in (
        OK.replace(b"\r\n", b"\r\nConnection: close\r\n", 1),
        OK.replace(b"HTTP/1.1", b"HTTP/1.0"),
        OK + b"extra",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"ok") + b"extra",
    ):
        backend.script = lambda _, answer=answer: [answer]  # type: ignore[misc] # a default binds
        for _ in range(2):
            reply = await wire.ask(get())
            assert reply.body == b"ok"
            assert reply.value("connection") is None
        first, second = backend.requests[-2:]
        assert first.connection != second.connection


async def test_an_answer_that_nobody_asked_for(world: World, backend: Backend) -> None:
    """Bytes on a spare connection end it: the next request is not answered with them."""
    go = asyncio.Event()
    backend.script = lambda r: [OK, go, OK] if r.connection == 1 else [EMPTY]
    wire = await world.wire()
    assert (await wire.ask(get())).body == b"ok"
    go.set()
    await until(lambda: world.front.pool.connections == 0)
    assert (await wire.ask(get())).body == b""


async def test_answers_of_the_gateway(world: World) -> None:
    """They have Date, Server and their length; to HEAD the length alone."""
    world.desk.route = lambda _: Answer(404, b"nothing", [(b"content-type", b"text/plain")])
    wire = await world.wire()
    for method in ("GET", "HEAD"):
        reply = await wire.ask(get(method=method), bodiless=method == "HEAD")
        assert (reply.status, reply.value("content-length")) == (404, "7")
        assert reply.value("server") == "model-runner-gateway"
        assert (reply.value("date") or "").endswith(" GMT")
        assert reply.value("content-type") == "text/plain"
        assert reply.body == (b"nothing" if method == "GET" else b"")
    world.desk.route = lambda _: Answer(204, b"")
    assert (await wire.ask(get(), bodiless=True)).value("content-length") is None
    world.desk.route = lambda _: Answer(299, b"odd")
    assert (await wire.ask(get())).body == b"odd"
