"""Real `runnerd serve` processes, before the real llama-server or the scripted engine.

from tests.support.engine import engine
from tests.support.serving import serving_smollm2   # a session's server with ai/smollm2

def test_x(serving_smollm2: Serving) -> None:
    serving_smollm2.http.get("/v1/models")
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import types
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import httpx
import pytest

from runnerd.standalone.catalogue.add import add
from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.catalogue.stored import Stored
from runnerd.weights.oci.package import Ingredients
from tests.cluster.waiting import wait_until
from tests.support.engine import Engine, engine

__all__ = ["Serving", "engine", "scripted_program", "serving_smollm2", "stock"]

SMOLLM2: Final = "ai/smollm2:latest"
_ENGINE: Final = Path(__file__).with_name("scripted_engine.py")
_PORT: Final = re.compile(r'"msg":"listening","port":(\d+)[,}]')


def stock(
    models_path: Path, weights: Path, *tags: str, chat_template: Path | None = None
) -> Stored:
    """Put a GGUF file into the store below a folder, under these tags.

    It is packaged as `runnerd package` does it, and lies there as after a pull. The same file
    with another template is another model.
    """
    catalogue = Catalogue(models_path)
    stored = add(catalogue, Ingredients(weights=[weights], chat_template=chat_template), tags[0])
    for tag in tags[1:]:
        catalogue.tag(stored.identity, tag)
    found = catalogue.find(stored.identity)
    assert found is not None
    return found


def scripted_program(folder: Path, *arguments: str) -> Path:
    """A program that stands for llama-server and does what a request's `script` says."""
    program = folder / "llama-server"
    # -I -S: no site, no user's environment; it starts twice as fast.
    command = shlex.join([sys.executable, "-I", "-S", str(_ENGINE), *arguments])
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="ascii")
    program.chmod(0o700)
    return program


class Serving:
    """One `runnerd serve` on a free port of all addresses.

    Args:
        folder: For its log, its engines' sockets and, as "models", its store.
        program: The engine's program.
        ready: Wait until it is ready; else only until it listens.
        environment: More variables, or others in place of ours.
    """

    def __init__(
        self, folder: Path, program: Path, *, ready: bool = True, **environment: str
    ) -> None:
        self.folder = folder
        self.models_path = Path(environment.get("MODELS_PATH", folder / "models"))
        self._ready = ready
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LLAMA_SERVER_PATH": str(program),
            "MODELS_PATH": str(self.models_path),
            "MODEL_RUNNER_PORT": "0",
            "RUNNERD_SOCKET_FOLDER": str(folder),
            **{name: value for name, value in os.environ.items() if name.startswith("COV")},
            **environment,
        }
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "runnerd", "serve"], env=variables, stdout=log, stderr=log
            )

    def __enter__(self) -> Self:
        """Wait until it answers."""
        try:
            path = "/readyz" if self._ready else "/healthz"
            wait_until("runnerd serve answers", lambda: self._answers(path), seconds=120)
        except BaseException as error:
            error.add_note(self.text()[-4000:])
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        if error is not None:
            error.add_note(self.text()[-4000:])
        self.stop()

    @property
    def port(self) -> int:
        """Where it listens; 0 while it does not."""
        found = _PORT.search(self.text())
        return int(found[1]) if found else 0

    @property
    def url(self) -> str:
        """Its base address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def http(self) -> httpx.Client:
        """A client of its own for each test; connections are not kept."""
        limits = httpx.Limits(max_keepalive_connections=0)
        return httpx.Client(base_url=self.url, timeout=120, trust_env=False, limits=limits)

    def text(self) -> str:
        """Its log so far."""
        return self._log.read_text("utf-8", "replace")

    def log(self) -> list[dict[str, Any]]:
        """Every whole line so far; each must be a JSON object."""
        text = self.text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def engines(self) -> list[int]:
        """The numbers of its engines' processes: its only children."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        return [int(word) for word in children.read_text(encoding="ascii").split()]

    def chat(self, model: str, prompt: str = "Say hi.", **more: Any) -> httpx.Response:
        """One chat."""
        messages = [{"role": "user", "content": prompt}]
        body = {"model": model, "messages": messages, "max_tokens": 4, **more}
        with self.http as http:
            return http.post("/v1/chat/completions", json=body)

    def stop(self) -> int:
        """SIGTERM; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(120)
        finally:
            self.process.kill()
            self.process.wait()

    def _answers(self, path: str) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"runnerd serve ended with status {self.process.returncode}")
        if not self.port:
            return False
        with suppress(httpx.TransportError):
            return httpx.get(self.url + path, timeout=60, trust_env=False).status_code == 200
        return False


@pytest.fixture(scope="session")
def serving_smollm2(
    engine: Engine,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Serving]:
    """A server with SmolLM2-135M-Instruct as `ai/smollm2`, and the real llama-server."""
    folder = tmp_path_factory.mktemp("serving")
    stock(folder / "models", engine.model, SMOLLM2)
    with Serving(folder, engine.llama_server, LLAMA_ARGS="-c 2048 --metrics") as server:
        yield server
