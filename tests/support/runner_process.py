"""Real runner processes, which stand for pods, in front of the scripted engine or a real one."""

import os
import re
import shlex
import signal
import subprocess
import sys
import types
from pathlib import Path
from typing import Any, Self

import httpx

from modelrunner_protocol.codec import encode
from modelrunner_protocol.wire import RUN_CONFIG_VARIABLE, RunConfig
from tests.cluster.waiting import wait_until

_ENGINE = Path(__file__).with_name("scripted_engine.py")


class RunnerProcess:
    """One `runnerd run` on a free port of all addresses; `folder` is the scripted engine's.

    `program` is a real llama-server instead; `more` are further members of RunConfig.
    """

    def __init__(
        self,
        model: str,
        folder: Path,
        *,
        aliases: tuple[str, ...] = (),
        slots: int = 8,
        program: Path | None = None,
        **more: Any,
    ) -> None:
        folder.mkdir()
        self.folder = folder
        program = program or _scripted(folder, slots)
        usual: dict[str, Any] = {
            "namespace": "tests",
            "weights": "/models/x.gguf",
            "drain_timeout": 10,
            "port": 0,
        }
        engine = {"runner": "default", "engine": "llama.cpp"}
        config = RunConfig(model=model, aliases=aliases, **usual | engine | more)
        environment = {
            "PATH": os.environ["PATH"],
            "LLAMA_SERVER_PATH": str(program),
            "RUNNERD_SOCKET_FOLDER": str(folder),
            "RUNNERD_DRAIN_LINGER": "0.05",
            "TERMINATION_LOG": str(folder / "termination"),
            RUN_CONFIG_VARIABLE: encode(config),
            **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE")},
        }
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "runnerd", "run"], env=environment, stdout=log, stderr=log
            )

    def __enter__(self) -> Self:
        try:
            wait_until("a runner", self._is_ready, seconds=120)
        except Exception:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @property
    def port(self) -> int:
        """Where it listens; 0 while it does not."""
        # With what follows it: else the number may be half written.
        found = re.search(r'"port": ?(\d+)[,}]', (self.folder / "log").read_text("utf-8"))
        return int(found[1]) if found else 0

    def open(self) -> None:
        """Let the scripts go on that wait for it (gated_stream, wait)."""
        (self.folder / "open").touch()

    def shut(self) -> None:
        """Let the next ones wait again."""
        (self.folder / "open").unlink(missing_ok=True)

    @property
    def ready(self) -> bool:
        """Whether it takes requests now."""
        return self._is_ready()

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, (self.folder / "log").read_text("utf-8")
        if not self.port:
            return False
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=60, trust_env=False)
        except httpx.TransportError:
            return False
        return answer.status_code == 200


def _scripted(folder: Path, slots: int) -> Path:
    program = folder / "llama-server"
    # -I -S: no site, no user's environment; it starts twice as fast.
    command = shlex.join([sys.executable, "-I", "-S", str(_ENGINE), "--slots", str(slots)])
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="ascii")
    program.chmod(0o700)
    return program
