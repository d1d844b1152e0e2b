"""What no client should send: an error in its own words, never the server's fault, never logged."""

import socket
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from tests.integration.gateway_dmr.served import EMBEDDER, Served
from tests.integration.runnerd_serve_dmr.recorded import TEXT, differs
from tests.integration.runnerd_serve_dmr.shapes import ANTHROPIC, OLLAMA, OPENAI

pytestmark = [pytest.mark.engine, pytest.mark.control_plane]

_SECRET: Final = "sk-the-secret"
_NAMED: Final = b'{"model":"ai/smollm2",'
_SAID: Final = _NAMED + b'"messages":[{"role":"user","content":"sk-the-secret"}],'
_NO_JSON: Final = (
    b"",
    b"{",
    b"[]",
    b"null",
    b"5",
    b'"x"',
    b"\xff",
    b"[" * 50_000,
    b'{"model":"\\ud800"}',
)
_NO_MODEL: Final = (b"{}", *(b'{"model":%s}' % one for one in (b"5", b"null", b'""', b'["a"]')))
_NOT_THERE: Final = (
    *(b'{"model":"../../etc/passwd"}', b'{"model":"ai/..%2f..%2fsmollm2"}'),
    *(b'{"model":"ai/smollm2\\r\\nX-Evil: 1"}', b'{"model":"a\\u0000"}'),
)
_CHATS: Final = (
    *(_NAMED + b'"messages":"x"}', _NAMED + b'"messages":[5]}'),
    *(_SAID + b'"keep_alive":"soon"}', _SAID + b'"keep_alive":{"a":1}}', _SAID + b'"tools":"x"}'),
    _NAMED + b'"messages":[{"role":"user","content":"x"}],"max_tokens":"x","options":5}',
)
_FAMILIES: Final[dict[str, tuple[str, Any]]] = {
    "/v1/chat/completions": ("application/json", OPENAI),
    "/engines/llama.cpp/v1/completions": ("application/json", OPENAI),
    "/v1/embeddings": ("application/json", OPENAI),
    "/v1/responses": ("application/json", OPENAI),
    "/rerank": ("application/json", OPENAI),
    "/v1/messages": ("application/json", ANTHROPIC | {"request_id?": str}),
    "/anthropic/v1/messages/count_tokens": ("application/json", ANTHROPIC | {"request_id?": str}),
    "/api/chat": ("application/json", OLLAMA),
    "/api/generate": ("application/json", OLLAMA),
    "/api/embed": ("application/json", OLLAMA),
    "/api/show": ("application/json", OLLAMA),
    "/engines/_configure": (TEXT, None),
    "/engines/_unload": (TEXT, None),
}
_OF_CHATS: Final = ("/v1/chat/completions", "/v1/messages", "/api/chat")


def _wrong(served: Served, path: str, body: bytes, statuses: set[int]) -> str:
    """What is wrong with the answer, "" for nothing."""
    kind, shape = _FAMILIES[path]
    headers = {"Authorization": f"Bearer {_SECRET}", "X-Request-Id": f"a\tb {_SECRET}"}
    with served.http as http:
        answer = http.post(path, content=body, headers=headers)
    told = f"{path} {body[:80]!r}: {answer.status_code} {answer.text[:200]}"
    if answer.status_code not in statuses:
        return told
    if not answer.headers["Content-Type"].startswith(kind) or "x-evil" in answer.headers:
        return f"{told}: {answer.headers}"
    found = differs(answer.json(), shape) if shape else ""
    return f"{told}: {found}" if found else ""


@pytest.mark.parametrize("path", _FAMILIES)
def test_bodies(served: Served, path: str) -> None:
    """400 for what is no request, 404 for names of nothing, in the caller's shape."""
    asked = [(body, {400}) for body in (*_NO_JSON, *_NO_MODEL)]
    asked += [(body, {404}) for body in _NOT_THERE]
    wrong = [_wrong(served, path, body, statuses) for body, statuses in asked]
    assert not any(wrong), "\n".join(filter(None, wrong))


@pytest.mark.parametrize("path", _OF_CHATS)
def test_chats(served: Served, path: str) -> None:
    """Members of the wrong type are 400."""
    wrong = [_wrong(served, path, body, {400}) for body in _CHATS]
    assert not any(wrong), "\n".join(filter(None, wrong))


@pytest.mark.parametrize(
    "more",
    [
        *({"mode": "dance"}, {"keep_alive": "soon"}, {"keep_alive": 300}),
        *({"runtime-flags": ["--log-file", "x"]}, {"runtime-flags": ["--temp=/etc/passwd"]}),
        *({"runtime-flags": "--temp '"}, {"runtime-flags": ["-t"], "raw-runtime-flags": "-t"}),
        *({"vllm": {"hf-overrides": {"a-b": 1}}}, {"vllm": {"gpu-memory-utilization": 2}}),
        *({"context-size": -2}, {"context-size": "x"}, {"speculative": {"draft_model": "no"}}),
    ],
    ids=str,
)
def test_configurations(served: Served, more: dict[str, Any]) -> None:
    """400 with a sentence, and the Model stays as it is."""
    before = served.home.model("smollm2")["metadata"]["resourceVersion"]
    with served.http as http:
        answer = http.post("/engines/_configure", json={"model": "ai/smollm2", **more})
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, TEXT), answer.text
    assert len(answer.text.splitlines()) == 1
    assert served.home.model("smollm2")["metadata"]["resourceVersion"] == before


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/../../etc/passwd",
        "/v1/models/..%2F..%2Fetc%2Fpasswd",
        "/models/..%2F..%2Fetc%2Fpasswd",
        "/models/%00",
        "/anthropic/v1/models/%0d%0aX-Evil:%201",
        "/models/ai/smollm2%0d%0aX-Evil:%201",
        "/engines/..%2F/v1/models",
    ],
)
def test_names_in_paths(served: Served, path: str) -> None:
    """They are looked up, and are nothing: 404, or 400 where a path cannot be so."""
    answer = _raw(served, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.split(b" ", 2)[1] in {b"400", b"404"}, answer
    assert b"x-evil:" not in answer.lower().partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/messages", "/api/chat", "/models/create"]
)
def test_a_body_of_100_megabytes(served: Served, path: str) -> None:
    """It is not waited for."""
    length = 100 << 20
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    answer = _raw(served, head + "{")
    assert answer.startswith(b"HTTP/1.1 413 "), answer


def _raw(served: Served, text: str) -> bytes:
    place = urlsplit(served.home.gateway.url)
    assert place.hostname
    assert place.port
    with socket.create_connection((place.hostname, place.port), timeout=30) as connection:
        connection.sendall(text.encode())
        found = b""
        while piece := connection.recv(1 << 16):
            found += piece
    return found


def test_others_are_answered_and_nothing_is_told(served: Served) -> None:
    """After all that a chat works, and no log knows what was in a request."""
    with served.http as http:
        body = {"model": "ai/smollm2", "messages": [{"role": "user", "content": _SECRET}]}
        headers = {"Authorization": f"Bearer {_SECRET}", "Cookie": _SECRET}
        answer = http.post(
            f"/v1/chat/completions?key={_SECRET}", json=body | {"max_tokens": 2}, headers=headers
        )
        assert answer.status_code == 200
        assert http.post("/models/create", json={"bearer-token": _SECRET}).status_code == 400
        body = {"model": EMBEDDER, "messages": []}
        assert http.post("/v1/chat/completions", json=body).status_code == 404
    gateway = served.home.gateway
    assert _SECRET not in f"{gateway.log}{gateway.accesses}"
    for runner in served.runners.values():
        assert _SECRET not in (runner.folder / "log").read_text("utf-8")
