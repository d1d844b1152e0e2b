"""`runnerd run` with what cannot be run: what it says, and how it ends."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.runnerd.conftest import Process

pytestmark = pytest.mark.engine

Serve = Callable[..., Process]


def test_corrupt_weights(serve: Serve, tmp_path: Path) -> None:
    """A file that is not GGUF: five starts, then failed for good, with the engine's words."""
    weights = tmp_path / "broken.gguf"
    weights.write_bytes(b"GGUF" + b"\xff" * 1000)
    runner = serve(weights=str(weights))
    found = runner.until("failed")
    assert found["reason"] == "EngineFailed"
    assert "exit code 1 while it was loading the model" in found["message"]
    assert found["restarts"] == 4
    causes = [line["cause"] for line in runner.log() if line["msg"] == "the engine failed"]
    assert len(causes) == 5
    # llama-server does not wait for the thread that writes its log: an end may lose the last words.
    assert any("failed to load model" in cause for cause in causes)
    assert runner.http.get("/healthz").status_code == 200
    assert runner.stop() == 0


@pytest.mark.parametrize(
    ("environment", "fields", "message"),
    [
        ({"RUNNERD_CONFIG": "{"}, {}, "RUNNERD_CONFIG cannot be read: not JSON"),
        ({"RUNNERD_CONFIG": ""}, {}, "RUNNERD_CONFIG is not set"),
        ({"LLAMA_ARGS": "--model /etc/passwd"}, {}, 'LLAMA_ARGS may not hold "--model"'),
        ({"LLAMA_SERVER_PATH": "/nothing"}, {}, "/nothing is not a program"),
        ({}, {"runtime_flags": ("--log-file", "x")}, '"--log-file" is not allowed'),
        ({}, {"engine": "vllm"}, 'no engine "vllm"'),
        ({"RUNNERD_MAX_BODY": "many"}, {}, "RUNNERD_MAX_BODY: 'many' is not a number"),
    ],
)
def test_bad_configuration(
    serve: Serve, environment: dict[str, str], fields: dict[str, Any], message: str
) -> None:
    """One log line and a termination message say what to change; exit status 2."""
    runner = serve(environment, **fields)
    assert runner.process.wait(120) == 2
    (line,) = runner.log()
    assert message in line["cause"]
    told = json.loads(runner.termination.read_text(encoding="utf-8"))
    assert told["reason"] == "InvalidConfiguration"
    assert message in told["message"]


def test_port_in_use(serve: Serve) -> None:
    """A port that somebody has: a message, exit status 1, no engine left behind."""
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        runner = serve(port=port)
        assert runner.process.wait(120) == 1
    told = json.loads(runner.termination.read_text(encoding="utf-8"))
    assert f"port {port} cannot be opened" in told["message"]
