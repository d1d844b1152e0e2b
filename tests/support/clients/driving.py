"""Runs a client's script against a server, in the client's own environment."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.cluster.settings import ROOT
from tests.support.clients.catalogue import Client
from tests.support.clients.expectations import Server
from tests.support.clients.installs import docker_model, node, node_modules, python_clients

SCRIPTS: Final = Path(__file__).with_name("scripts")
# Clients that would ask the network for prices of models, or tell others what they do.
_OFFLINE: Final = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LANGSMITH_TRACING": "false",
    "DO_NOT_TRACK": "1",
    "NO_PROXY": "*",
    # Scripts of Python are modules of the tests.
    "PYTHONPATH": str(ROOT),
}
# The tests want curl to fail on an error's status, which a person sees in what it prints.
_CURL_SETTINGS: Final = "fail-with-body\nsilent\nshow-error\n"


@dataclass(frozen=True)
class Desk:
    """Where clients run: `home` is an empty home, which holds their scripts and programs."""

    home: Path

    @classmethod
    def prepare(cls, folder: Path) -> "Desk":
        """A desk in an empty folder."""
        shutil.copytree(SCRIPTS, folder / "scripts")
        # Node looks for packages beside and above a script, nowhere else.
        (folder / "node_modules").symlink_to(node_modules())
        (folder / ".curlrc").write_text(_CURL_SETTINGS, "ascii")
        # Docker's command line calls its plugins this way; it is not needed for more.
        docker = folder / "programs" / "docker"
        docker.parent.mkdir()
        docker.write_text(f'#!/bin/sh\nshift\nexec "{docker_model()}" "$@"\n', "utf-8")
        docker.chmod(0o700)
        return cls(folder)

    def run(self, file: Path, *arguments: str, **more: Any) -> str:
        """What a script of Python or Node prints; `more` is what `attempt` takes.

        Raises:
            AssertionError: it failed; with what it told.
        """
        program = node() if file.suffix == ".mjs" else python_clients()
        return self.command([program, file, *arguments], **more)

    def command(self, words: list[str | Path], **more: Any) -> str:
        """What a program prints; `more` is what `attempt` takes.

        Raises:
            AssertionError: it failed; with what it told.
        """
        done = self.attempt(words, **more)
        told = f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        assert done.returncode == 0, told
        return done.stdout

    def attempt(
        self, words: list[str | Path], *, seconds: float = 240, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        """A program that ran to its end, here and with little else in its environment."""
        return subprocess.run(
            [str(word) for word in words],
            cwd=self.home,
            env={**_OFFLINE, "HOME": str(self.home), "PATH": self._path, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )

    def docker_model(self, url: str, *words: str) -> str:
        """What `docker model` says about the server at `url`; of its lines some are errors'.

        Raises:
            AssertionError: it failed; with what it told.
        """
        done = self.attempt(["docker", "model", *words], MODEL_RUNNER_HOST=url)
        told = done.stdout + done.stderr
        assert done.returncode == 0, f"docker model {' '.join(words)}:\n{told}"
        return told

    def docker_model_refuses(self, url: str, *words: str) -> str:
        """What it says when it fails.

        Raises:
            AssertionError: it did not fail.
        """
        done = self.attempt(["docker", "model", *words], MODEL_RUNNER_HOST=url)
        told = done.stdout + done.stderr
        assert done.returncode != 0, f"docker model {' '.join(words)}:\n{told}"
        return told

    @property
    def _path(self) -> str:
        return f"{self.home / 'programs'}{os.pathsep}{os.environ['PATH']}"

    def outcomes(
        self, client: Client, url: str, scenarios: tuple[str, ...], server: Server
    ) -> dict[str, Any]:
        """What came of each scenario: {"value": …} or {"raised": …, "status": …, "text": …}."""
        file = self.home / "scripts" / client.script
        names = {"PULLED_MODEL": server.pulled, "RUNNING_NAME": server.running}
        told = self.run(file, url, *scenarios, **names)
        found: dict[str, Any] = json.loads(told.splitlines()[-1])
        return found
