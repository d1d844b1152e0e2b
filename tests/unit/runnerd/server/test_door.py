"""Requests that are refused, by the bytes on the wire."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelrunner_protocol.wire import Mode
from tests.support.scripted_runner import CONFIG, SETTINGS, Served, eventually, running

CHAT = "/v1/chat/completions"


@pytest.fixture
async def runner(tmp_path: Path) -> AsyncIterator[Served]:
    """A ready runner with small limits."""
    settings = replace(SETTINGS, max_body=1000, max_held=1500, body_timeout=0.3, idle_timeout=0.5)
    async with running(tmp_path, settings=settings) as served:
        yield served


async def _raw(runner: Served, data: bytes) -> tuple[bytes, bytes]:
    """Head and body of the answer to these bytes, after which the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", runner.port)
    writer.write(data)
    async with asyncio.timeout(10):
        seen = await reader.read()
    writer.close()
    head, _, body = seen.partition(b"\r\n\r\n")
    return head, body


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
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", 400),
        (b"GET /" + b"y" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (_request(b"{}", "Content-Length: -5"), 400),
        (_request(b"{}", "Content-Length: 2", "Transfer-Encoding: chunked"), 400),
    ],
    ids=range(5),
)
async def test_not_http(runner: Served, data: bytes, status: int) -> None:
    """What is not HTTP, or has endless heads, is a 400 without a trace."""
    head, body = await _raw(runner, data)
    assert _status(head) == status
    assert b"Traceback" not in body


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
    ],
)
async def test_paths(
    runner: Served, method: str, path: str, status: int, allow: str | None
) -> None:
    """Unknown paths and wrong methods are told in OpenAI's shape."""
    async with runner.client.request(method, path) as answer:
        assert answer.status == status
        assert answer.headers.get("Allow") == allow
        if status >= 400:
            assert (await answer.json())["error"]["message"]


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
