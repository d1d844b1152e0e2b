"""What an endpoint is sent, and what becomes of what it answers."""

import asyncio
from pathlib import Path

import pytest

from modelrunner.gateway.messages import Answer
from tests.support.http_backend import OK, Backend, Pause, listening
from tests.support.http_front import Desk, World, fronting
from tests.support.http_wire import chunked, get, post, until

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
    backend.script = lambda _: [interim[:30], Pause(), interim[30:], OK]
    wire.send(get())
    assert (await wire.head())[0] == 200


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
