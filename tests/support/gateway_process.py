"""Gateway processes under test."""

import json
import os
import re
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx

from tests.cluster.errors import ClusterError
from tests.cluster.settings import ROOT
from tests.cluster.waiting import wait_until


class GatewayProcess:
    """One `modelrunner gateway`: `start` it, ask it over HTTP, `end` it.

    Both ports are free ones on loopback. `environment` overrides its settings.
    """

    def __init__(self, kubeconfig: Path, namespace: str, folder: Path, **environment: str) -> None:
        folder.mkdir()
        self._folder = folder
        self._environment = {
            "PATH": os.environ["PATH"],
            "KUBECONFIG": str(kubeconfig),
            "POD_NAMESPACE": namespace,
            "POD_NAME": folder.name,
            "MODELRUNNER_WATCH_NAMESPACES": namespace,
            "MODELRUNNER_GATEWAY_HTTP_HOST": "127.0.0.1",
            "MODELRUNNER_GATEWAY_HTTP_PORT": "0",
            "MODELRUNNER_GATEWAY_ADMIN_HOST": "127.0.0.1",
            "MODELRUNNER_GATEWAY_ADMIN_PORT": "0",
            "MODELRUNNER_GATEWAY_ACCESS_LOG": "all",
            "MODELRUNNER_GATEWAY_DRAIN_DELAY": "0.2",
            **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE")},
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            # In order, where it can: what it has measured of itself is written at its end.
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def start(self) -> Self:
        """Start the process."""
        with (self._folder / "out").open("ab") as out, (self._folder / "err").open("ab") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "modelrunner", "gateway"],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        return self

    def serving(self) -> Self:
        """Start it, and wait until it is ready."""
        self.start()
        self.wait("ready", lambda: self.probe("/readyz")[0] == 200)
        return self

    @property
    def pid(self) -> int:
        """The process that was started last."""
        assert self._process is not None
        return self._process.pid

    def terminate(self) -> None:
        """What the kubelet does first."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """What the kubelet does when it has waited long enough."""
        os.kill(self.pid, signal.SIGKILL)

    def end(self, seconds: float = 120) -> int:
        """Wait for its end; its exit status."""
        assert self._process is not None
        return self._process.wait(seconds)

    @property
    def ended(self) -> bool:
        """Whether it runs no more."""
        return self._process is not None and self._process.poll() is not None

    @property
    def log(self) -> str:
        """What it told on standard error."""
        return _whole_lines(self._folder / "err")

    @property
    def accesses(self) -> list[dict[str, Any]]:
        """Its access log."""
        return [json.loads(line) for line in _whole_lines(self._folder / "out").splitlines()]

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"http://127.0.0.1:{self._port('port')}"

    @property
    def admin(self) -> str:
        """Where probes reach it."""
        return f"http://127.0.0.1:{self._port('adminPort')}"

    def _port(self, name: str) -> int:
        found = re.findall(rf'"{name}": (\d+)', self.log)
        return int(found[-1]) if found else 0

    def probe(self, path: str) -> tuple[int, Any]:
        """Status and body at the admin port; 0 while nobody answers."""
        if not self._port("adminPort"):
            return 0, ""
        try:
            answer = httpx.get(f"{self.admin}{path}", timeout=60, trust_env=False)
        except httpx.TransportError:
            return 0, ""
        kind = answer.headers.get("content-type", "")
        return answer.status_code, answer.json() if "json" in kind else answer.text

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples with these labels."""
        starts = (f"modelrunner_gateway_{name} ", f"modelrunner_gateway_{name}{{")
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        page = str(self.probe("/metrics")[1])
        samples = [line for line in page.splitlines() if line.startswith(starts)]
        found = [line for line in samples if all(pair in line for pair in wanted)]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    def wait(self, what: str, condition: Callable[[], object], seconds: float = 120) -> None:
        """Wait until `condition` holds.

        Raises:
            AssertionError: it did not, or the process ended; with its log.
        """
        try:
            wait_until(
                what, lambda: bool(condition()) or self.ended, seconds=seconds, interval=0.05
            )
        except ClusterError as error:
            raise AssertionError(f"{error}\n{self.log}") from error
        assert not self.ended, f"it ended while waiting for {what}\n{self.log}"


def _whole_lines(file: Path) -> str:
    """Without the line that is being written."""
    text = file.read_text("utf-8")
    return text[: text.rfind("\n") + 1]
