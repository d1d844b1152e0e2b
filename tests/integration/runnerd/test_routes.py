"""The routes beside OpenAI's chat, through `runnerd run`, on the real llama-server."""

import base64
import json
import struct
from collections.abc import Callable
from typing import Any

import pytest

from modelrunner_protocol.wire import Mode
from tests.integration.runnerd.conftest import Process

pytestmark = pytest.mark.engine

Serve = Callable[..., Process]

PREFIXES = ("", "/engines", "/engines/llama.cpp")
USER = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def runner(serve: Serve) -> Process:
    """A runner with an alias, ready."""
    process = serve(aliases=("claude-x",), context_size=1024)
    process.until("ready")
    return process


def _events(runner: Process, path: str, body: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Name and data of each event of a stream."""
    found = []
    with runner.http.stream("POST", path, json={**body, "stream": True}) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        text = answer.read().decode()
    for event in text.split("\n\n"):
        lines = [line for line in event.split("\n") if line and not line.startswith(":")]
        if lines:
            name, data = lines
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


@pytest.mark.parametrize("prefix", [*PREFIXES, "/anthropic"])
def test_messages(runner: Process, prefix: str) -> None:
    """Anthropic's clients get their messages, whole and streamed, under every prefix."""
    body = {"model": "claude-x", "max_tokens": 4, "messages": USER}
    answer = runner.http.post(f"{prefix}/v1/messages?beta=true", json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["type"], found["role"]) == ("message", "assistant")
    assert found["content"][0]["text"]
    assert found["usage"]["output_tokens"] > 0
    assert "gguf" not in answer.text.lower()
    events = _events(runner, f"{prefix}/v1/messages", body)
    assert events[0][0] == "message_start"
    assert events[-1][0] == "message_stop"
    assert "content_block_delta" in [name for name, _ in events]
    assert all(data["type"] == name for name, data in events)
    count = runner.http.post(f"{prefix}/v1/messages/count_tokens", json={"messages": USER})
    assert count.json()["input_tokens"] == found["usage"]["input_tokens"] + found["usage"].get(
        "cache_read_input_tokens", 0
    )


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"{", 400, "invalid_request_error"),
        (b"{}", 400, "invalid_request_error"),
        (b'{"messages": "x"}', 400, "invalid_request_error"),
        (b'{"messages": [], "tools": "x"}', 400, "invalid_request_error"),
        (b'{"messages": [], "model": "gpt-9"}', 404, "not_found_error"),
        (b'{"messages": [], "keep_alive": "soon"}', 400, "invalid_request_error"),
        (b'{"messages": [{"content": "x"}]}', 400, "invalid_request_error"),
        (b'{"messages": [{"role": 5, "content": "x"}]}', 400, "invalid_request_error"),
        (b'{"messages": [{"role": "user"}]}', 400, "invalid_request_error"),
        (b'{"messages": [{"role": "user", "content": "\\ud83d"}]}', 400, "invalid_request_error"),
        (b'{"messages": [], "temperature": "hot"}', 400, "invalid_request_error"),
    ],
    ids=range(11),
)
@pytest.mark.parametrize("path", ["/v1/messages", "/anthropic/v1/messages/count_tokens"])
def test_errors_of_messages(
    runner: Process, path: str, body: bytes, status: int, kind: str
) -> None:
    """What is wrong is told in Anthropic's shape, whoever found it, and is never a 500."""
    answer = runner.http.post(path, content=body)
    if answer.status_code == 200:
        # To count tokens the engine needs no temperature.
        assert "count_tokens" in path
        assert b"temperature" in body
        return
    found = answer.json()
    assert (answer.status_code, found["type"]) == (status, "error")
    assert found["error"]["type"] == kind
    assert found["error"]["message"]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("path", ["/v1/responses", "/responses"])
def test_responses(runner: Process, prefix: str, path: str) -> None:
    """OpenAI's Responses, whole and streamed, under every prefix."""
    body = {"model": "smol", "max_output_tokens": 4, "input": "hi"}
    answer = runner.http.post(prefix + path, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "incomplete"
    assert answer.json()["output"][0]["content"][0]["text"]
    events = _events(runner, prefix + path, body)
    names = [name for name, _ in events]
    assert names[0] == "response.created"
    assert names[-1] == "response.incomplete"
    assert "response.output_text.delta" in names


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"input": 5},
        {"input": [5]},
        {"input": "hi", "max_output_tokens": "x"},
        {"input": "hi", "tools": [{"type": "function"}]},
        {"input": "hi", "previous_response_id": "x"},
        {"input": "\ud83d"},
    ],
    ids=str,
)
def test_errors_of_responses(runner: Process, body: dict[str, Any]) -> None:
    """A field that the engine stumbles over is a 400 in OpenAI's shape."""
    answer = runner.http.post("/v1/responses", content=json.dumps(body))
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "name", ["SMOL", "ai/smol", "smol:latest", "docker.io/ai/smol:latest", "ai%2Fclaude-x"]
)
def test_names(runner: Process, name: str) -> None:
    """Every spelling of a name is answered, and comes back as it was written."""
    assert runner.chat(model=name).json()["model"] == name
    body = {"model": name, "max_tokens": 2, "messages": USER}
    assert runner.http.post("/v1/messages", json=body).json()["model"] == name
    start, *rest = _events(runner, "/v1/messages", body)
    assert start[1]["message"]["model"] == name
    assert not any("model" in json.dumps(data) for _, data in rest)
    text = {"model": name, "prompt": "hi", "max_tokens": 2}
    assert runner.http.post("/v1/completions", json=text).json()["model"] == name
    for path, asked in (("/v1/chat/completions", body), ("/v1/completions", text)):
        with runner.http.stream("POST", path, json={**asked, "stream": True}) as answer:
            lines = [line for line in answer.iter_lines() if line.startswith("data: {")]
        assert {json.loads(line.removeprefix("data: "))["model"] for line in lines} == {name}


def test_keep_alive(runner: Process) -> None:
    """The engine does not see it, big numbers beside it arrive as they are."""
    raw = b'{"messages":[{"role":"user","content":"hi"}],"max_tokens":1,"keep_alive":"2h",'
    raw += b'"seed":4294967295,"temperature":0.0000001}'
    assert runner.http.post("/v1/chat/completions", content=raw).status_code == 200
    found = runner.status()
    assert found["keepAlive"] == 7200
    assert found["slots"] == runner.ask_engine("/props")["total_slots"]
    assert runner.http.get("/readyz").json()["slots"] == found["slots"]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_tokens(runner: Process, prefix: str) -> None:
    """Text becomes tokens, and they become the text again."""
    answer = runner.http.post(f"{prefix}/tokenize", json={"model": "smol", "content": "hi there"})
    tokens = answer.json()["tokens"]
    assert len(tokens) > 1
    answer = runner.http.post(f"{prefix}/detokenize", json={"tokens": tokens})
    assert answer.json() == {"content": "hi there"}


def test_vectors_in_base64(serve: Serve) -> None:
    """The same numbers as in a list, as openai-python reads them."""
    process = serve(mode=Mode.EMBEDDING, context_size=512)
    process.until("ready")
    found = {}
    for coding in ("float", "base64"):
        body = {"input": ["a cat"], "encoding_format": coding}
        found[coding] = process.http.post("/v1/embeddings", json=body).json()["data"][0]
    raw = base64.b64decode(found["base64"]["embedding"], validate=True)
    numbers = struct.unpack(f"<{len(raw) // 4}f", raw)
    assert numbers == pytest.approx(found["float"]["embedding"], abs=1e-4)
