"""The life of a server: its settings, its first models, its end."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.cluster.waiting import wait_until
from tests.integration.runnerd_serve.conftest import small_models
from tests.support.gguf_files import model
from tests.support.registry_process import running_registry
from tests.support.serving import Serving, scripted_program

CHAT = {"messages": [{"role": "user", "content": "hi"}], "script": "chat"}


def command(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """`runnerd` with these arguments, which is expected to end by itself."""
    usual = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    usual |= {name: value for name, value in os.environ.items() if name.startswith("COV")}
    return subprocess.run(
        [sys.executable, "-m", "runnerd", *arguments],
        env=usual | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def package(folder: Path, reference: str, seed: int = 1) -> None:
    """Push a model of nothing into a registry of this machine."""
    file = folder / f"{seed}.gguf"
    file.write_bytes(model(size=200_000, seed=seed))
    done = command("package", str(file), "--push", reference, "--insecure")
    assert done.returncode == 0, done.stderr


def test_help() -> None:
    """The usage names the variables."""
    done = command("serve", "--help")
    assert done.returncode == 0
    for name in ("MODELS_PATH", "MODEL_RUNNER_PORT", "DMR_ORIGINS", "--port"):
        assert name in done.stdout


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"MODEL_RUNNER_PORT": "http"}, "MODEL_RUNNER_PORT"),
        ({"RUNNERD_MEMORY": "lots"}, "RUNNERD_MEMORY"),
        ({"DMR_ORIGINS": "localhost"}, "DMR_ORIGINS"),
        ({"MODELS": "a b"}, "MODELS"),
        ({"LLAMA_SERVER_PATH": "/nonexistent/llama-server"}, "LLAMA_SERVER_PATH"),
        ({"LLAMA_ARGS": "--port 5"}, "LLAMA_ARGS"),
        ({"RUNNERD_REGISTRY_MIRRORS": "x"}, "RUNNERD_REGISTRY_MIRRORS"),
        ({"MODELS_PATH": "/proc/models"}, "MODELS_PATH"),
    ],
)
def test_bad_settings(tmp_path: Path, environment: dict[str, str], named: str) -> None:
    """The start ends at once with status 2 and a sentence that names the variable."""
    usual = {
        "MODELS_PATH": str(tmp_path / "models"),
        "LLAMA_SERVER_PATH": str(scripted_program(tmp_path)),
        "MODEL_RUNNER_PORT": "0",
    }
    done = command("serve", **(usual | environment))
    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_port_in_use(tmp_path: Path) -> None:
    """Two servers cannot have one port; the option goes before the variable."""
    program = scripted_program(tmp_path)
    with socket.create_server(("", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = command(
            *("serve", "--port", port, "--models-path", str(tmp_path / "models")),
            LLAMA_SERVER_PATH=str(program),
            MODEL_RUNNER_PORT="0",
        )
    assert (done.returncode, port in done.stderr) == (2, True)


def test_store_of_somebody_else(tmp_path: Path) -> None:
    """A folder whose index is not ours is left alone."""
    (tmp_path / "models.json").write_text("{}")
    done = command(
        *("serve", "--models-path", str(tmp_path)),
        LLAMA_SERVER_PATH=str(scripted_program(tmp_path)),
    )
    assert (done.returncode, "MODELS_PATH" in done.stderr) == (2, True)
    assert (tmp_path / "models.json").read_text() == "{}"


def test_store_that_cannot_be_written(tmp_path: Path) -> None:
    """It serves what is there, and says in its log, which is all JSON, that it could not sweep."""
    (tmp_path / "models" / "models.lock").mkdir(parents=True)
    with Serving(tmp_path, scripted_program(tmp_path)) as server, server.http as http:
        assert http.get("/models").json() == []
        wait_until("the log", lambda: any("is not swept" in line["msg"] for line in server.log()))


def test_empty_store(tmp_path: Path) -> None:
    """Without models the lists are empty, as a new server's are."""
    with Serving(tmp_path, scripted_program(tmp_path), DISABLE_METRICS="1") as server:
        with server.http as http:
            assert http.get("/v1/models").json() == {"object": "list", "data": []}
            assert http.get("/api/tags").json() == {"models": []}
            assert http.get("/metrics").status_code == 404
        assert server.stop() == 0
    assert server.log()[-1]["msg"] == "stopped"


def test_first_models(tmp_path: Path) -> None:
    """MODELS are pulled and configured; until all are there the server is not ready."""
    with running_registry(tmp_path) as registry:
        package(tmp_path, registry.reference("team/one:v1"), 1)
        environment = {
            "MODELS": "team/one:v1,team/two:v1",
            "DEFAULT_REGISTRY": registry.address,
            "INSECURE_REGISTRY": "1",
            "DEFAULT_MODEL": "team/one:v1",
        }
        program = scripted_program(tmp_path)
        with Serving(tmp_path, program, ready=False, **environment) as server, server.http as http:

            def first_is_there() -> bool:
                told = http.get("/readyz")
                assert told.status_code == 503
                missing = told.json()["missing"]
                return list(missing) == ["team/two:v1"] and bool(missing["team/two:v1"])

            wait_until(
                "the first one is there, and it is known why the second one is not",
                first_is_there,
                seconds=120,
            )
            # What is there is served meanwhile.
            assert http.post("/v1/chat/completions", json=CHAT).status_code == 200
            package(tmp_path, registry.reference("team/two:v1"), 2)
            wait_until(
                "both are there", lambda: http.get("/readyz").status_code == 200, seconds=120
            )
            configured = http.get("/engines/_configure").json()
            assert len(configured) == 2
    # The store is whole without the registry.
    with Serving(tmp_path, program, ready=True, **environment) as server:
        assert server.chat("one").status_code == 200


def test_default_model(tmp_path: Path) -> None:
    """A request that names no model is one for DEFAULT_MODEL, in every dialect."""
    small_models(tmp_path, "a", "b")
    with (
        Serving(tmp_path, scripted_program(tmp_path), DEFAULT_MODEL="b") as server,
        server.http as http,
    ):
        body = {"messages": [{"role": "user", "content": "x"}]}
        for path in ("/v1/chat/completions", "/v1/messages"):
            assert http.post(path, json=body).json()["body"]["model"] == "b"
        told = http.post("/api/chat", json=CHAT | {"script": "chat", "stream": False}).json()
        assert told["model"] == "b"
        assert [row["model_name"] for row in http.get("/engines/ps").json()] == ["b"]


def test_two_models_in_one_place(tmp_path: Path) -> None:
    """Each has to go for the other one; who comes while one is in use waits for its end."""
    small_models(tmp_path, "a", "b")
    program = scripted_program(tmp_path)
    with Serving(tmp_path, program, RUNNERD_SLOTS="1") as server, ThreadPoolExecutor(8) as threads:
        for name in ("a", "b", "a"):
            assert server.chat(f"ai/{name}", script="chat").status_code == 200
            assert len(server.engines()) == 1
        asked = [
            threads.submit(server.chat, f"ai/{'ab'[number % 2]}", script="chat")
            for number in range(8)
        ]
        assert {one.result().status_code for one in asked} == {200}
        wait_until("one engine is left", lambda: len(server.engines()) == 1, seconds=120)


def stream(server: Serving, entered: threading.Event) -> str:
    """The text of a stream whose engine waits for the file "open" in its middle."""
    body = CHAT | {"model": "ai/a", "script": "gated_stream", "stream": True}
    with server.http as http, http.stream("POST", "/v1/chat/completions", json=body) as answer:
        pieces = []
        for piece in answer.iter_text():
            pieces.append(piece)
            entered.set()
    return "".join(pieces)


def test_sigterm_with_a_stream(tmp_path: Path) -> None:
    """What is inside is finished, who comes is sent away, and the status is 0."""
    small_models(tmp_path, "a")
    with Serving(tmp_path, scripted_program(tmp_path)) as server, ThreadPoolExecutor(1) as threads:
        entered = threading.Event()
        told = threads.submit(stream, server, entered)
        assert entered.wait(120)
        pid = server.engines()[0]
        server.process.send_signal(signal.SIGTERM)
        wait_until("it is not ready", lambda: server.http.get("/readyz").status_code == 503)
        late = server.chat("ai/a", script="chat")
        assert (late.status_code, late.json()["error"]["code"]) == (503, "stopping")
        assert late.headers["Retry-After"]
        (tmp_path / "open").touch()
        assert told.result(120).rstrip().endswith("data: [DONE]")
        assert server.process.wait(120) == 0
    assert not Path(f"/proc/{pid}").exists()
    assert not list(tmp_path.glob("*.sock"))


def test_second_signal(tmp_path: Path) -> None:
    """It ends what is still inside."""
    small_models(tmp_path, "a")
    with Serving(tmp_path, scripted_program(tmp_path)) as server, ThreadPoolExecutor(1) as threads:
        entered = threading.Event()
        told = threads.submit(stream, server, entered)
        assert entered.wait(120)
        for _ in range(2):
            server.process.send_signal(signal.SIGTERM)
            wait_until("it drains", lambda: "draining" in server.text())
        assert server.process.wait(120) == 0
        try:
            assert "[DONE]" not in told.result(120)
        except httpx.TransportError:
            assert told.exception() is not None


def test_killed(tmp_path: Path) -> None:
    """A server that is killed leaves a store that the next one uses."""
    small_models(tmp_path, "a")
    program = scripted_program(tmp_path)
    with Serving(tmp_path, program) as server:
        assert server.chat("ai/a", script="chat").status_code == 200
        engine = server.engines()[0]
        server.process.kill()
        server.process.wait()
        os.killpg(engine, signal.SIGKILL)
    with Serving(tmp_path, program) as server:
        assert server.chat("ai/a", script="chat").status_code == 200


def test_log(tmp_path: Path) -> None:
    """The start says what is served where, each line one JSON object."""
    with Serving(tmp_path, scripted_program(tmp_path), LOG_LEVEL="debug") as server:
        told = next(line for line in server.log() if line["msg"] == "listening")
    assert told["port"] == server.port
    assert told["models"] == str(tmp_path / "models")
    assert told["openai"] == f"http://localhost:{server.port}/v1"
    assert json.dumps(told)
