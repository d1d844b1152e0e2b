"""A real `runnerd run` process in front of the real llama-server."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelrunner_protocol.codec import encode
from modelrunner_protocol.wire import RUN_CONFIG_VARIABLE, RunConfig
from tests.support.engine import Engine, engine

__all__ = ["Process", "engine", "serve"]


class Process:
    """One `runnerd run`; its log lines are read with `log`."""

    def __init__(self, config: RunConfig, engine_: Engine, folder: Path, **more: str) -> None:
        self.folder = folder
        self._http: httpx.Client | None = None
        self.termination = folder / "termination"
        environment = {
            "PATH": os.environ["PATH"],
            "LLAMA_SERVER_PATH": str(engine_.llama_server),
            "RUNNERD_SOCKET_FOLDER": str(folder),
            "TERMINATION_LOG": str(self.termination),
            "RUNNERD_DRAIN_LINGER": "0.05",
            RUN_CONFIG_VARIABLE: encode(config),
            **{name: value for name, value in os.environ.items() if name.startswith("COV")},
            **more,
        }
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "runnerd", "run"], env=environment, stdout=log, stderr=log
            )

    @property
    def port(self) -> int:
        """Where it listens; 0 while it does not."""
        found = [line["port"] for line in self.log() if "port" in line]
        return int(found[0]) if found else 0

    @property
    def http(self) -> httpx.Client:
        """A client of it, once it listens."""
        if self._http is None:
            assert self.port
            self._http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=120)
        return self._http

    @property
    def socket(self) -> Path:
        """Where its engine listens."""
        return self.folder / f"engine-{self.process.pid}.sock"

    @property
    def engine_pid(self) -> int:
        """The number of its engine's process: its only child."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(children.read_text(encoding="ascii").split()[0])

    def log(self) -> list[dict[str, Any]]:
        """Every whole line so far; each must be a JSON object."""
        text = (self.folder / "log").read_text(encoding="utf-8")
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def status(self) -> dict[str, Any]:
        """What it says at /status, {} while it does not listen."""
        if not self.port:
            return {}
        with contextlib.suppress(httpx.TransportError):
            found: dict[str, Any] = self.http.get("/status").json()
            return found
        return {}

    def until(self, state: str) -> dict[str, Any]:
        """Its status once it is in `state`."""
        found: dict[str, Any] = {}

        def reached() -> bool:
            nonlocal found
            assert self.process.poll() is None, (self.folder / "log").read_text(encoding="utf-8")
            found = self.status()
            return found.get("state") == state

        eventually(reached)
        return found

    def metrics(self) -> str:
        """Its metrics with the engine's, which are left out when the engine takes too long."""
        text = ""

        def told() -> bool:
            nonlocal text
            text = self.http.get("/metrics").text
            return "llamacpp:" in text

        eventually(told)
        return text

    def ask_engine(self, path: str) -> Any:
        """GET from the engine itself, past runnerd; JSON or text."""
        connection = http.client.HTTPConnection("engine", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.socket))
        with contextlib.closing(connection):
            connection.request("GET", path)
            text = connection.getresponse().read().decode()
        return json.loads(text) if text[:1] in {"{", "["} else text

    def chat(self, prompt: Any = "Hello", **more: Any) -> httpx.Response:
        """One chat."""
        body = {"messages": [{"role": "user", "content": prompt}], "max_tokens": 4, **more}
        return self.http.post("/v1/chat/completions", json=body)

    def stop(self) -> int:
        """SIGTERM; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(120)
        finally:
            self.process.kill()
            self.process.wait()
            if self._http is not None:
                self._http.close()


def eventually(condition: Callable[[], object], seconds: float = 180) -> None:
    """Wait until `condition` holds."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "not within the time given"
        pause.wait(0.02)


@pytest.fixture(scope="session")
def serve(
    engine: Engine,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., Process]]:
    """`serve(**RunConfig fields)` starts a runner; all are stopped at the end of the run."""
    started: list[Process] = []

    def start(environment: dict[str, str] | None = None, **fields: Any) -> Process:
        usual: dict[str, Any] = {
            "model": "smol",
            "namespace": "ml",
            "runner": "cpu",
            "engine": "llama.cpp",
        }
        usual |= {"weights": str(engine.model), "port": 0, "context_size": 2048}
        config = RunConfig(**{**usual, **fields})
        process = Process(config, engine, tmp_path_factory.mktemp("r"), **(environment or {}))
        started.append(process)
        return process

    yield start
    for process in started:
        process.stop()
