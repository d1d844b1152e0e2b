"""Requests that are refused, by the bytes on the wire."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from modelrunner_protocol.wire import Mode
from tests.support.scripted_runner import CONFIG, SETTINGS, Served, eventually, running

CHAT = "/v1/chat/completions"
OLLAMA = {"/", "/api/chat", "/api/show", "/api/delete", "/api/pull", "/api/nothing"}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runner(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A ready runner with small limits, one for all tests."""
    settings = replace(SETTINGS, max_body=1000, max_held=1500, body_timeout=0.3, idle_timeout=0.5)
    async with running(tmp_path_factory.mktemp("door"), settings=settings) as served:
        yield served


async def _raw(runner: Served, data: bytes) -> tuple[bytes, bytes]:
    """Head and body of the answer to these bytes; both empty when there is none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", runner.port)
    writer.write(data)
    async with asyncio.timeout(60):
        head, body = await _answer(reader)
    writer.close()
    return head, body


async def _answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    try:
        head = (await reader.readuntil(b"\r\n\r\n"))[:-4]
    except asyncio.IncompleteReadError as error:
        return error.partial, b""
    length = re.search(rb"content-length: ([0-9]+)", head.lower())
    return head, await reader.readexactly(int(length[1])) if length else await reader.read()


def _status(head: bytes) -> int:
    return int(head.split(b" ")[1])


def _request(body: bytes, *headers: str, path: str = CHAT) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Connection: close", *headers]
    if not any(line.startswith(("Content-Length", "Transfer")) for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "no body"),
        (b"{", 400, "not JSON: Expecting property name"),
        (b'{"messages": NaN}', 400, "NaN is not JSON"),
        (b"[" * 900, 400, "not JSON"),
        (b'{"a": ' + b"9" * 900 + b"}", 400, "messages"),
        (b"\xff", 400, "not UTF-8"),
        ('{"messages": []}'.encode("utf-16"), 400, "not UTF-8"),
        (b"null", 400, "must be a JSON object"),
        (b"{}", 400, "'messages' must be a list"),
        (b'{"messages": [null]}', 400, "must be an object"),
        (b'{"messages": [], "tools": {}}', 400, "'tools' must be a list"),
        (b'{"messages": [], "model": 1}', 400, "'model' must be a string"),
        (b'{"messages": [], "model": "gpt-9"}', 404, "`gpt-9` does not exist"),
        (b" " * 1001, 413, "larger than 1000 bytes"),
    ],
    ids=range(14),
)
async def test_bodies(runner: Served, body: bytes, status: int, words: str) -> None:
    """A wrong body is told in OpenAI's shape, and the engine never sees it."""
    head, answer = await _raw(runner, _request(body))
    assert _status(head) == status
    assert words in json.loads(answer)["error"]["message"]
    assert b"X-Request-Id: " in head


async def test_chunked_body(runner: Served) -> None:
    """A chunked body passes, a too long one is refused before it is whole."""
    body = b'{"messages": []}'
    chunk = f"{len(body):x}\r\n".encode() + body + b"\r\n"
    encoding = "Transfer-Encoding: chunked"
    head, _ = await _raw(runner, _request(chunk + b"0\r\n\r\n", encoding))
    assert _status(head) == 200
    long = b"400\r\n" + b" " * 1024 + b"\r\n"
    head, _ = await _raw(runner, _request(long, encoding))
    assert _status(head) == 413
    head, _ = await _raw(runner, _request(b"zz\r\n", encoding))
    assert _status(head) == 400


@pytest.mark.parametrize(("size", "status"), [(999, 200), (1000, 200), (1001, 413)])
@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_at_the_limit(
    runner: Served, size: int, status: int, *, chunked: bool
) -> None:
    """A body of max_body bytes passes, one more does not, however it is sent."""
    body = b'{"messages": []}'.ljust(size)
    if chunked:
        data = f"{size:x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
        head, _ = await _raw(runner, _request(data, "Transfer-Encoding: chunked"))
    else:
        head, _ = await _raw(runner, _request(body))
    assert _status(head) == status


async def test_connection_outlives_an_error(runner: Served) -> None:
    """After an error whose request was read to its end the connection serves the next."""
    reader, writer = await asyncio.open_connection("127.0.0.1", runner.port)
    for body, status in ((b"{", 400), (b'{"messages": []}', 200), (b"[]", 400), (b"", 400)):
        writer.write(_request(body).replace(b"Connection: close\r\n", b""))
        assert _status((await _answer(reader))[0]) == status
    writer.close()


async def test_pipelining(runner: Served) -> None:
    """Requests sent at once are answered in their order."""
    ids = ("one", "two", "three")
    requests = [_request(b'{"messages": []}', f"X-Request-Id: {name}") for name in ids]
    data = b"".join(requests[:-1]).replace(b"Connection: close\r\n", b"") + requests[-1]
    reader, writer = await asyncio.open_connection("127.0.0.1", runner.port)
    writer.write(data)
    for name in ids:
        head, body = await _answer(reader)
        assert _status(head) == 200
        assert json.loads(body)["headers"]["X-Request-Id"] == name
    assert await reader.read() == b""
    writer.close()


async def test_client_leaves_within_its_body(runner: Served) -> None:
    """A client that goes before its body is whole frees its place and its memory."""
    _, writer = await asyncio.open_connection("127.0.0.1", runner.port)
    writer.write(_request(b"{", "Content-Length: 500"))

    async def inside(count: int) -> bool:
        return bool((await runner.status())["inFlight"] == count)

    await eventually(lambda: inside(1))
    writer.transport.abort()
    await eventually(lambda: inside(0))


async def test_many_at_once(tmp_path: Path) -> None:
    """A hundred parallel requests are all answered, each with its own answer."""
    async with running(tmp_path) as runner:
        answers = await asyncio.gather(*(runner.chat(number=number) for number in range(100)))
    assert [status for status, _ in answers] == [200] * 100
    assert [answer["body"]["number"] for _, answer in answers] == list(range(100))


async def test_slow_body(runner: Served) -> None:
    """A body that does not come is a 408 after body_timeout."""
    head, _ = await _raw(runner, _request(b"{", "Content-Length: 500"))
    assert _status(head) == 408


async def test_compressed_body(runner: Served) -> None:
    """A compressed body is refused: a small one may hold a giant."""
    head, _ = await _raw(runner, _request(b"x", "Content-Encoding: gzip"))
    assert _status(head) == 415


async def test_expect(runner: Served) -> None:
    """A client that asks first is told to go on."""
    head, rest = await _raw(runner, _request(b'{"messages": []}', "Expect: 100-continue"))
    assert head == b"HTTP/1.1 100 Continue"
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_memory_of_all_bodies(runner: Served) -> None:
    """Bodies that wait are bounded together: the next gets 429."""

    async def nobody_inside() -> bool:
        return bool((await runner.status())["inFlight"] == 0)

    # The tests before have clients that left, whose bodies count until the runner notices.
    await eventually(nobody_inside)
    waiting = asyncio.create_task(runner.chat("silent", pad="x" * 900))
    await eventually(lambda: runner.launch.noted("asked"))
    status, answer = await runner.chat(pad="x" * 900)
    assert (status, answer["error"]["code"]) == (429, "queue_full")
    assert (await runner.chat())[0] == 200
    waiting.cancel()
    await eventually(lambda: runner.launch.noted("left"))


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"rubbish\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 60_000 + b"\r\n\r\n", 200),
        (b"GET /" + b"y" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (_request(b"{}", "Content-Length: -5"), 400),
        (_request(b"{}", "Content-Length: 2", "Transfer-Encoding: chunked"), 400),
        (_request(b"{}", "Content-Length: 2", "Content-Length: 3"), 400),
        (_request(b"{}", "Content-Length: 0x2"), 400),
        (_request(b"{}", *(f"X-{number}: y" for number in range(2000))), 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ],
    ids=range(10),
)
async def test_not_http(runner: Served, data: bytes, status: int) -> None:
    """What is not HTTP, or has endless heads, is told in OpenAI's shape, without a trace."""
    head, body = await _raw(runner, data)
    assert _status(head) == status
    if status >= 400:
        assert json.loads(body)["error"]["message"]


async def test_half_a_head(runner: Served) -> None:
    """A head that does not end is cut off after idle_timeout."""
    assert (await _raw(runner, b"POST /v1/chat/compl"))[0] == b""


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", CHAT, 405, "POST"),
        ("DELETE", "/v1/models/smol", 405, "GET, HEAD"),
        ("POST", "/readyz", 405, "GET, HEAD"),
        ("GET", "/v1/nothing", 404, None),
        ("GET", "/v1/models/other", 404, None),
        ("GET", "/v1/models/gpt-x", 200, None),
        ("HEAD", "/healthz", 200, None),
        ("HEAD", "/v1/models", 200, None),
        ("HEAD", "/metrics", 200, None),
        ("HEAD", CHAT, 405, "POST"),
        ("OPTIONS", CHAT, 405, "POST"),
        ("PUT", "/engines/v1/embeddings", 405, "POST"),
        ("OPTIONS", "/v1/models", 405, "GET, HEAD"),
        ("DELETE", "/metrics", 405, "GET, HEAD"),
        ("GET", "/engines/llama.cpp/v1/models/ml%2Fsmol", 200, None),
        ("GET", "/v1/models/docker.io%2Fai%2FSMOL:latest", 200, None),
        ("GET", "/v1/models/smol:v2", 404, None),
        ("GET", "/close", 405, "POST"),
        ("HEAD", "/open", 405, "POST"),
        ("PUT", "/held", 405, "POST"),
        ("GET", "/v1/models/", 404, None),
        ("GET", "/v1/chat/completions/", 404, None),
        ("GET", "/", 200, None),
        ("HEAD", "/", 200, None),
        ("POST", "/", 405, "GET, HEAD"),
        ("GET", "/%2e%2e/etc", 404, None),
        ("GET", "/v1/models/%ff%00", 404, None),
        ("POST", "/engines/vllm/v1/chat/completions", 404, None),
        ("POST", "/v1/images/generations", 501, None),
        ("POST", "/engines/llama.cpp/v1/images/generations", 501, None),
        ("GET", "/engines/v1/images/generations", 405, "POST"),
        ("GET", "/api/version", 200, None),
        ("HEAD", "/api/tags", 200, None),
        ("GET", "/api/chat", 405, "POST"),
        ("GET", "/api/show", 405, "POST"),
        ("POST", "/api/delete", 405, "DELETE"),
        ("POST", "/api/pull", 501, None),
        ("GET", "/api/nothing", 404, None),
    ],
)
async def test_paths(
    runner: Served, method: str, path: str, status: int, allow: str | None
) -> None:
    """Unknown paths and wrong methods are told in the shape of the caller's family."""
    async with runner.client.request(method, path) as answer:
        assert answer.status == status
        assert answer.headers.get("Allow") == allow
        assert answer.headers["Server"] == "runnerd"
        if status >= 400 and method != "HEAD":
            error = (await answer.json())["error"]
            assert error if path in OLLAMA else error["message"]


async def test_odd_targets(runner: Served) -> None:
    """Targets that no client library would send have an answer, too."""
    for target, status in (
        ("//engines//v1/models", 200),
        ("http://elsewhere/v1/models", 200),
        ("/v1/models?x=1#y", 200),
        ("*", 404),
        ("/v1/models/" + "n" * 5000, 404),
    ):
        method = "OPTIONS" if target == "*" else "GET"
        data = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        head, body = await _raw(runner, data.encode())
        assert (target, _status(head)) == (target, status)
        assert json.loads(body)


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "ü"])
async def test_bad_request_id(runner: Served, given: str) -> None:
    """An id that is none is replaced by one of ours."""
    body: dict[str, Any] = {"messages": []}
    headers = {"X-Request-Id": given}
    async with runner.client.post(CHAT, json=body, headers=headers) as answer:
        assert len(answer.headers["X-Request-Id"]) == 24


async def test_wrong_mode(tmp_path: Path) -> None:
    """An embedding model says that it does not chat."""
    async with running(tmp_path, config=replace(CONFIG, mode=Mode.EMBEDDING)) as runner:
        status, answer = await runner.chat()
        assert (status, answer["error"]["code"]) == (400, "unsupported_mode")
        async with runner.client.post("/engines/v1/embeddings", json={"input": "x"}) as good:
            assert (await good.json())["path"] == "/v1/embeddings"


async def test_own_failure(runner: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of ours is a 500 without its insides."""

    def fail(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("runnerd.server.door.model_name", fail)
    status, answer = await runner.get("/anything")
    assert status == 500
    assert "secret" not in json.dumps(answer)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (CHAT, {"model": "smol"}, 200),
        (CHAT, {}, 200),
        ("/api/chat", {"name": "smol"}, 200),
        (CHAT, {"model": "other"}, 404),
        (CHAT, {"model": 5}, 400),
    ],
)
async def test_preload(runner: Served, path: str, body: dict[str, Any], status: int) -> None:
    """A request that only wants the model loaded gets nothing; a wrong one is told so."""
    headers = {"X-Preload-Only": "true"}
    async with runner.client.post(path, json=body, headers=headers) as answer:
        told = await answer.read()
    assert answer.status == status
    assert bool(told) == (status != 200)
