"""`runnerd run` with the real llama-server and a real model."""

import json
import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelrunner_protocol.wire import Mode
from tests.integration.runnerd.conftest import Process, eventually
from tests.support.engine import Engine
from tests.support.freezing import freeze

pytestmark = pytest.mark.engine

Serve = Callable[..., Process]

CONTEXT = 1024
# A generation that never ends by itself, however fast the engine is: the context moves along.
ENDLESS: dict[str, Any] = {"max_tokens": 10**9, "ignore_eos": True, "stream": True}


@pytest.fixture(scope="module")
def runner(serve: Serve) -> Process:
    """A runner with two aliases, ready."""
    process = serve(
        aliases=("gpt-4o-mini",),
        reasoning_budget=0,
        context_size=CONTEXT,
        runtime_flags=("--parallel", "2", "--kv-unified", "--context-shift"),
    )
    process.until("ready")
    return process


def test_chat(runner: Process) -> None:
    """A chat is answered, under the model's name and not the file's."""
    answer = runner.chat()
    assert answer.status_code == 200
    found = answer.json()
    assert found["choices"][0]["message"]["content"]
    assert found["model"] == "smol"
    assert "gguf" not in answer.text.lower()


def test_the_engine_closes_connections_in_order(runner: Process) -> None:
    """llama-server ends each connection at its hundredth request; no client notices."""
    asked = [runner.http.post("/tokenize", json={"content": "x"}).status_code for _ in range(210)]
    assert asked == [200] * 210


@pytest.mark.parametrize("name", ["smol", "ml/smol", "gpt-4o-mini", None])
def test_names(runner: Process, name: str | None) -> None:
    """The name, namespace/name, an alias and no name at all are this model."""
    assert runner.chat(model=name).status_code == 200


def test_unknown_name(runner: Process) -> None:
    """Another model is OpenAI's 404, though llama-server would answer."""
    answer = runner.chat(model="gpt-9")
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("model_not_found", "model")


@pytest.mark.parametrize("prefix", ["", "/engines", "/engines/llama.cpp"])
def test_completions_under_every_prefix(runner: Process, prefix: str) -> None:
    """Docker Model Runner's paths are answered like OpenAI's."""
    body = {"prompt": "Once upon a time", "max_tokens": 3}
    answer = runner.http.post(f"{prefix}/v1/completions", json=body)
    assert answer.json()["choices"][0]["text"]
    names = runner.http.get(f"{prefix}/v1/models").json()["data"]
    assert [model["id"] for model in names] == ["smol"]
    for name in ("smol", "ml/smol", "ml%2Fsmol", "gpt-4o-mini"):
        assert runner.http.get(f"{prefix}/v1/models/{name}").json()["id"] == "smol"
    assert runner.http.get(f"{prefix}/v1/models/other").status_code == 404


def test_stream(runner: Process) -> None:
    """A stream is events only, with usage if asked for, and ends with [DONE]."""
    body = {
        "messages": [{"role": "user", "content": "Count to five"}],
        "max_tokens": 8,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    with runner.http.stream("POST", "/v1/chat/completions", json=body) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        lines = [line for line in answer.iter_lines() if line]
    assert all(line.startswith(("data: ", ":")) for line in lines)
    assert lines[-1] == "data: [DONE]"
    events = [json.loads(line[6:]) for line in lines[:-1]]
    assert {event["model"] for event in events} == {"smol"}
    assert events[-1]["usage"]["completion_tokens"] > 0


def test_arguments(runner: Process) -> None:
    """The context size, the flags and the reasoning budget reach the engine, in DMR's order."""
    properties = runner.ask_engine("/props")
    assert properties["default_generation_settings"]["n_ctx"] == CONTEXT
    assert properties["total_slots"] == 2
    command = runner.log()[0]["command"]
    assert command[1:4] == ["-ngl", "999", "--metrics"]
    kept = [word for word in command[4:] if word.startswith("--") and word != "--threads"]
    usual = ["--model", "--host", "--alias", "--reasoning-budget", "--ctx-size"]
    assert kept == [*usual, "--parallel", "--kv-unified", "--context-shift", "--jinja"]


def test_engine_starts_before_the_imports(runner: Process) -> None:
    """The engine's process exists before the HTTP libraries are imported.

    How long before depends on what else the machine does.
    """
    told = runner.log()[0]
    assert told["msg"] == "started"
    assert told["engine_after"] < told["imported_after"]


def test_metrics(runner: Process) -> None:
    """The engine's families carry our labels; HELP and TYPE are kept, once each."""
    runner.chat()
    text = runner.metrics()
    labels = r'namespace="ml",model="smol",runner="cpu",engine="llama\.cpp"'
    assert re.search(rf"^llamacpp:tokens_predicted_total\{{{labels}\}} [0-9]+$", text, re.MULTILINE)
    assert re.search(rf"^runnerd_ready\{{{labels}\}} 1\.0$", text, re.MULTILINE)
    assert text.count("# TYPE llamacpp:tokens_predicted_total counter\n") == 1
    assert text.count("# HELP runnerd_requests_total ") == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"\xff\xfe{}",
        b'{"messages": "x"}',
        b'{"messages": [1]}',
        b'{"messages": [], "model": 5}',
        b'{"messages": [], "model": ["smol"]}',
        b'{"messages": [], "tools": "x"}',
        b'{"messages": [], "tools": [1]}',
        b'{"messages": [{"role": "user", "content": {"a": 1}}]}',
        b'{"messages": [{"role": "user", "content": "x"}], "temperature": "hot"}',
        b'{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
        b'{"messages": [{"role": "user", "content": "\\ud83d"}]}',
        b"[" * 100_000,
        b"{}",
    ],
    ids=lambda body: body[:80].decode("latin-1") or "empty",
)
def test_bad_bodies(runner: Process, body: bytes) -> None:
    """Every malformed body is a 400 in OpenAI's shape, never a 500."""
    answer = runner.http.post("/v1/chat/completions", content=body)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["message"]
    assert error["type"] == "invalid_request_error"
    assert "Traceback" not in answer.text


def test_embeddings_of_a_chat_model(runner: Process) -> None:
    """The wrong mode is a 400 that says which Model to use."""
    answer = runner.http.post("/v1/embeddings", json={"input": "x"})
    assert answer.status_code == 400
    assert "config.mode embedding" in answer.json()["error"]["message"]


def test_client_leaves(runner: Process) -> None:
    """The engine stops generating when the client has gone."""
    body = {"messages": [{"role": "user", "content": "Tell a very long story"}], **ENDLESS}

    def counted(family: str) -> int:
        found = re.search(rf"^llamacpp:{family} (\d+)", runner.ask_engine("/metrics"), re.MULTILINE)
        assert found
        return int(found[1])

    before = counted("n_decode_total")
    with runner.http.stream("POST", "/v1/chat/completions", json=body) as answer:
        assert next(answer.iter_lines()).startswith("data: ")
    # By itself it would go on for days.
    eventually(lambda: counted("requests_processing") == 0)
    assert counted("n_decode_total") > before
    assert runner.chat().status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("chat/completions", {"messages": [{"content": "x"}]}),
        ("chat/completions", {"messages": [{"role": 5, "content": "x"}]}),
        ("chat/completions", {"messages": [{"role": "assistant", "tool_calls": 5}]}),
        ("chat/completions", {"messages": [{"role": "user", "content": [{"type": "text"}]}]}),
        ("chat/completions", {"messages": [], "tools": [{"type": "function"}]}),
        ("chat/completions", {"messages": [], "reasoning_format": "zz"}),
        ("chat/completions", {"messages": [], "stream": "yes"}),
        ("chat/completions", {"messages": [], "seed": 10**400}),
        ("completions", {}),
        ("completions", {"prompt": None}),
        ("completions", {"prompt": []}),
        ("completions", {"prompt": {"a": 1}}),
        ("completions", {"prompt": "word " * CONTEXT * 2}),
    ],
    ids=str,
)
def test_bad_fields(runner: Process, path: str, body: dict[str, Any]) -> None:
    """A field that the engine stumbles over is a 400, also where it says 500."""
    answer = runner.http.post(f"/v1/{path}", json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["message"]


def test_picture_for_a_model_without_eyes(runner: Process) -> None:
    """A picture is refused as the client's error."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    answer = runner.chat([picture])
    assert answer.status_code == 400
    assert "image input is not supported" in answer.json()["error"]["message"]


def test_negative_value_and_foreign_environment(serve: Serve) -> None:
    """`--flag=-1` reaches the engine; its own variables do so only where they do no harm."""
    environment = {
        "LLAMA_ARG_HOST": "0.0.0.0",  # as the official image has it
        "LLAMA_ARG_API_PREFIX": "/hidden",
        "LLAMA_API_KEY": "secret",
        "LLAMA_ARG_EMBEDDINGS": "1",
        "LLAMA_ARG_ALIAS": "other",
        "LLAMA_ARG_N_PARALLEL": "3",
    }
    runner = serve(environment, runtime_flags=("--seed=-1", "--presence-penalty=-0.5"))
    runner.until("ready")
    assert runner.chat().json()["model"] == "smol"
    assert runner.ask_engine("/props")["total_slots"] == 3
    assert runner.stop() == 0


def test_engine_that_hangs(serve: Serve) -> None:
    """A stopped llama-server is found, told and replaced; who waited for it gets an answer."""
    # An engine that only has to wait for a core is none that hangs, and nobody knows how long a
    # new one takes to load.
    runner = serve({"RUNNERD_HANG_TIMEOUT": "7.5", "RUNNERD_RETRY_WAIT": "120"})
    runner.until("ready")
    freeze(runner.engine_pid)
    assert runner.chat().status_code == 200
    assert runner.status()["restarts"] == 1
    told = [line for line in runner.log() if line["msg"] == "the engine failed"]
    assert "did not answer for 7.5 s" in told[0]["cause"]
    assert runner.stop() == 0


@pytest.mark.parametrize("flags", [(), ("--pooling", "last")])
def test_embedding_mode(serve: Serve, flags: tuple[str, ...]) -> None:
    """A model embeds, though its header knows no pooling, and says so when asked to chat."""
    runner = serve(mode=Mode.EMBEDDING, runtime_flags=flags)
    runner.until("ready")
    command = runner.log()[0]["command"]
    assert [command[i + 1] for i, word in enumerate(command) if word == "--pooling"] == [
        flags[1] if flags else "mean"
    ]
    answer = runner.http.post("/v1/embeddings", json={"input": ["a", "b"], "model": "smol"})
    assert [len(row["embedding"]) for row in answer.json()["data"]] == [576, 576]
    assert answer.json()["model"] == "smol"
    named = runner.http.post("/v1/embeddings", json={"input": "a", "model": "ai/smol:latest"})
    assert named.json()["model"] == "ai/smol:latest"
    wrongs: tuple[Any, ...] = (None, [], 5, "x " * 3000)
    for wrong in wrongs:
        answer = runner.http.post("/v1/embeddings", json={"input": wrong})
        assert answer.status_code == 400, answer.text
    refused = runner.chat()
    assert refused.status_code == 400
    assert "config.mode completion" in refused.json()["error"]["message"]
    assert runner.stop() == 0


def test_engine_killed(serve: Serve, engine: Engine, tmp_path: Path) -> None:
    """After kill -9 of the engine the reason is told, it is started again, its stream ends in words."""
    # It does not come back before the test has looked.
    shut, program = tmp_path / "shut", tmp_path / "llama-server"
    waiting = f"while [ -e {shut} ]; do sleep 0.05; done"
    program.write_text(f'#!/bin/sh\n{waiting}\nexec {engine.llama_server} "$@"\n', "ascii")
    program.chmod(0o700)
    flags = ("--parallel", "1", "--context-shift")
    runner = serve({"LLAMA_SERVER_PATH": str(program)}, runtime_flags=flags)
    runner.until("ready")
    shut.touch()
    body = {"prompt": "Once", **ENDLESS}
    with runner.http.stream("POST", "/v1/completions", json=body) as answer:
        lines = answer.iter_lines()
        next(lines)
        os.kill(runner.engine_pid, signal.SIGKILL)
        last = [line for line in lines if line][-1]
    assert "SIGKILL" in json.loads(last.removeprefix("data: "))["error"]["message"]
    assert runner.until("restarting")["reason"] == "EngineFailed"
    refused = runner.chat()
    assert refused.status_code == 503
    assert refused.headers["Retry-After"]
    shut.unlink()
    found = runner.until("ready")
    assert found["restarts"] == 1
    assert "reason" not in found
    assert runner.chat().status_code == 200
    assert runner.stop() == 0


def test_sigterm_with_an_open_stream(serve: Serve) -> None:
    """The stream ends whole, new requests go elsewhere, the process exits with 0."""
    runner = serve(runtime_flags=("--parallel", "1"))
    runner.until("ready")
    # Some 12 MB, and a client that takes little at once: they fit into no buffers on the way, so
    # that the stream is open until it is read, however fast the engine is.
    body = {"prompt": "Once", "max_tokens": 64, "n_probs": 2000, "ignore_eos": True, "stream": True}
    little = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)]
    with (
        httpx.Client(
            transport=httpx.HTTPTransport(socket_options=little),
            base_url=runner.http.base_url,
            timeout=120,
        ) as client,
        client.stream("POST", "/v1/completions", json=body) as answer,
    ):
        lines = answer.iter_lines()
        assert next(lines).startswith("data: ")
        runner.process.send_signal(signal.SIGTERM)
        assert runner.until("draining")["inFlight"] == 1
        assert runner.http.get("/readyz").status_code == 503
        refused = runner.chat()
        assert (refused.status_code, refused.headers["X-Runner-Draining"]) == (503, "true")
        events = [line for line in lines if line]
    assert events[-1] == "data: [DONE]"
    assert json.loads(events[-2].removeprefix("data: "))["usage"]["completion_tokens"] == 64
    assert runner.process.wait(120) == 0
    assert not runner.socket.exists()


def test_log_tells_no_prompts(serve: Serve) -> None:
    """Even at debug no word of a prompt, an answer or a header is in the log."""
    runner = serve({"LOG_LEVEL": "debug"})
    runner.until("ready")
    runner.http.headers["Authorization"] = "Bearer verysecret"
    assert runner.chat("the password is swordfish").status_code == 200
    assert runner.chat("swordfish", tools="swordfish").status_code == 400
    assert runner.chat([{"swordfish": 1}], temperature="swordfish").status_code == 400
    assert runner.stop() == 0
    text = json.dumps(runner.log())
    assert "swordfish" not in text
    assert "verysecret" not in text
    assert '"route": "chat_completions"' in text
