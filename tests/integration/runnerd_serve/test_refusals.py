"""What cannot be done is told in the caller's words, and disturbs nobody."""

import socket
from typing import Any

import httpx
import pytest

from tests.support.serving import Serving

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "script": "chat"}
OPENAI = "/v1/chat/completions"
ANTHROPIC = "/anthropic/v1/messages"
OLLAMA = "/api/chat"
RESPONSES = "/v1/responses"


def post(server: Serving, path: str, body: Any, **headers: str) -> httpx.Response:
    """One request."""
    with server.http as http:
        if isinstance(body, bytes):
            return http.post(path, content=body, headers=headers)
        return http.post(path, json=body, headers=headers)


def message(answer: httpx.Response) -> str:
    """The sentence of an error, whatever its shape; "" when it is no error's."""
    error = answer.json().get("error", "")
    return str(error if isinstance(error, str) else error["message"])


def test_it_serves(scripted: Serving) -> None:
    """What is wrong in the other tests is only what they make wrong."""
    for path in (OPENAI, ANTHROPIC):
        assert post(scripted, path, CHAT | {"model": "ai/a"}).status_code == 200


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        (OPENAI, {"code": "model_not_found", "param": "model"}),
        ("/engines/llama.cpp/v1/chat/completions", {"code": "model_not_found"}),
        ("/v1/embeddings", {"code": "model_not_found"}),
        ("/rerank", {"code": "model_not_found"}),
        ("/tokenize", {"code": "model_not_found"}),
        (RESPONSES, {"code": "model_not_found"}),
        (ANTHROPIC, {"type": "not_found_error"}),
        ("/v1/messages/count_tokens", {"type": "not_found_error"}),
        (OLLAMA, None),
        ("/api/embed", None),
    ],
)
@pytest.mark.parametrize(
    "name", ["ai/none", "../../etc/passwd", "..%2f..%2fetc", "/", "a\r\nX: y", "\u0000", "x" * 9000]
)
def test_unknown_model(
    scripted: Serving, path: str, shape: dict[str, str] | None, name: str
) -> None:
    """404 in the client's shape; a path, a control character or a long text is no model either."""
    body = CHAT | {"model": name, "input": "x", "query": "x", "documents": ["y"], "content": "x"}
    answer = post(scripted, path, body)
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert "not found" in (error if shape is None else error["message"]).lower()
    if shape is not None:
        assert error.items() >= shape.items()
    assert len(answer.content) < 1000


@pytest.mark.parametrize("path", [OPENAI, ANTHROPIC, OLLAMA, RESPONSES, "/v1/embeddings"])
@pytest.mark.parametrize("body", [{}, {"model": None}, {"model": ""}])
def test_no_model(scripted: Serving, path: str, body: dict[str, Any]) -> None:
    """400: there is no DEFAULT_MODEL."""
    answer = post(scripted, path, CHAT | body)
    assert (answer.status_code, message(answer)) == (400, "model is required")


@pytest.mark.parametrize("path", [OPENAI, ANTHROPIC, OLLAMA, RESPONSES, "/tokenize"])
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"model": NaN}', b'{"model": 5}', b"[" * 50_000],
)
def test_malformed(scripted: Serving, path: str, body: bytes) -> None:
    """400 with a sentence."""
    answer = post(scripted, path, body)
    assert answer.status_code == 400
    assert message(answer)


@pytest.mark.parametrize(
    ("path", "more"),
    [
        (OPENAI, {"messages": "x"}),
        (OPENAI, {"messages": ["x"]}),
        (OPENAI, {"stream": "yes"}),
        (OPENAI, {"tools": "x"}),
        (OPENAI, {"keep_alive": "soon"}),
        (OPENAI, {"keep_alive": [1]}),
        (ANTHROPIC, {"messages": None}),
        (OLLAMA, {"messages": 5}),
        (OLLAMA, {"keep_alive": "soon"}),
        (OLLAMA, {"options": "x"}),
        (RESPONSES, {"input": 5}),
        (RESPONSES, {"input": "x", "background": True}),
        ("/rerank", {"query": "x", "documents": 5}),
        ("/v1/rerank", {"query": "x", "documents": ["y"], "top_n": 0}),
        ("/score", {"text_1": "x"}),
    ],
)
def test_wrong_types(scripted: Serving, path: str, more: dict[str, Any]) -> None:
    """400, and no model is loaded for it."""
    answer = post(scripted, path, CHAT | {"model": "ai/b"} | more)
    assert answer.status_code == 400
    assert message(answer)
    with scripted.http as http:
        assert all(row["model_name"] != "ai/b" for row in http.get("/engines/ps").json())


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/engines/vllm/v1/chat/completions", 400),
        ("/engines/vllm/v1/messages", 400),
        ("/engines/bogus/v1/chat/completions", 404),
        ("/engines/bogus/rerank", 404),
        ("/engines/..%2f/v1/completions", 404),
    ],
)
def test_backends(scripted: Serving, path: str, status: int) -> None:
    """A GGUF is not for vLLM; an engine that nobody knows is not found."""
    answer = post(scripted, path, CHAT | {"model": "ai/a"})
    assert answer.status_code == status
    assert message(answer)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", OPENAI, "POST"),
        ("DELETE", OPENAI, "POST"),
        ("PUT", ANTHROPIC, "POST"),
        ("GET", OLLAMA, "POST"),
        ("OPTIONS", OPENAI, "POST"),
        ("POST", "/v1/models", "GET, HEAD"),
        ("DELETE", "/v1/models/ai/a", "GET, HEAD"),
        ("POST", "/api/tags", "GET, HEAD"),
        ("GET", "/api/show", "POST"),
        ("POST", "/metrics", "GET, HEAD"),
        ("GET", "/v1/images/generations", "POST"),
    ],
)
def test_wrong_method(scripted: Serving, method: str, path: str, allowed: str) -> None:
    """405 with the methods that there are."""
    with scripted.http as http:
        answer = http.request(method, path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)


@pytest.mark.parametrize("path", ["/", "/nope", "/v1/nope", "/api/nope", "/engines/nope"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_there(scripted: Serving, method: str, path: str) -> None:
    """A path that is nobody's is 404 or 405, never 500."""
    with scripted.http as http:
        assert http.request(method, path, content=b"x").status_code in {404, 405}


def test_images(scripted: Serving) -> None:
    """501: nobody here makes any."""
    answer = post(scripted, "/engines/diffusers/v1/images/generations", {"model": "ai/a"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "unsupported_route")


def test_large_body(scripted: Serving) -> None:
    """100 MB are refused before they are there, in the client's words."""
    with socket.create_connection(("127.0.0.1", scripted.port), 120) as connection:
        head = f"POST {ANTHROPIC} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 1000)
        answer = b""
        # Head and body may come one after the other.
        while b"request_too_large" not in answer and (more := connection.recv(65536)):
            answer += more
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"request_too_large" in answer


def test_large_body_in_pieces(scripted: Serving) -> None:
    """One that does not tell its length is read up to the bound."""

    def pieces() -> Any:
        for _ in range(40):
            yield b"x" * (1 << 20)

    with scripted.http as http:
        try:
            answer = http.post(OPENAI, content=pieces())
        except (httpx.WriteError, httpx.ReadError):
            return
    assert answer.status_code == 413


@pytest.mark.parametrize("path", [OPENAI, "/v1/models", "/models", "/api/tags", "/", "/metrics"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
def test_forbidden_origin(scripted: Serving, method: str, path: str) -> None:
    """A page of elsewhere gets nothing, and may read nothing."""
    with scripted.http as http:
        answer = http.request(method, path, headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.text.strip()) == (403, "Origin not allowed")
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_preflight(scripted: Serving) -> None:
    """A page of this machine is told what it may send, with its key's header by name."""
    asked = {
        "Origin": "http://localhost:3000",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    with scripted.http as http:
        answer = http.options(OPENAI, headers=asked)
        listed = http.get("/v1/models", headers={"Origin": "http://localhost:3000"})
        stream = http.post(
            OPENAI,
            json=CHAT | {"model": "ai/a", "stream": True},
            headers={"Origin": "http://localhost:3000"},
        )
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Headers"] == "authorization,content-type"
    for told in (answer, listed, stream):
        assert told.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
        assert told.headers["X-Docker-Model-Runner"] == "true"


@pytest.mark.parametrize("name", ["X-Request-Id", "Origin", "X-Preload-Only", "Accept"])
def test_header_injection(scripted: Serving, name: str) -> None:
    """No text of a request becomes a header of the answer, or of the engine's request."""
    line = f"{name}: http://localhost\x0bX-Evil: 1"
    head = f"GET /v1/models HTTP/1.1\r\nHost: x\r\n{line}\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", scripted.port), 120) as connection:
        connection.sendall(head.encode())
        raw = b""
        while b"\r\n\r\n" not in raw and (more := connection.recv(65536)):
            raw += more
        answer = raw.decode()
    assert answer.split()[1] in {"200", "400", "403"}
    assert "x-evil" not in answer.partition("\r\n\r\n")[0].lower()


def test_request_id(scripted: Serving) -> None:
    """A plain one is said again; another one is replaced."""
    body = CHAT | {"model": "ai/a"}
    assert post(scripted, OPENAI, body, **{"X-Request-Id": "abc"}).headers["X-Request-Id"] == "abc"
    told = post(scripted, OPENAI, body, **{"X-Request-Id": "a b"}).headers["X-Request-Id"]
    assert told != "a b"


def test_engine_that_dies(scripted: Serving) -> None:
    """Its request fails in the client's words; the model answers the next one."""
    body = CHAT | {"model": "ai/a", "script": "die"}
    answer = post(scripted, ANTHROPIC, body)
    assert answer.status_code in {502, 503}
    assert answer.json()["type"] == "error"
    assert post(scripted, ANTHROPIC, CHAT | {"model": "ai/a"}).status_code == 200


def test_nothing_secret_is_logged(scripted: Serving) -> None:
    """Neither a key nor a prompt stands in the log."""
    body = {"model": "ai/a", "messages": [{"role": "user", "content": "my-own-words"}]}
    post(scripted, OPENAI, body | {"tools": 5}, Authorization="Bearer my-own-key")
    post(scripted, OPENAI, body, **{"x-api-key": "my-own-key"})
    assert "my-own" not in scripted.text()
