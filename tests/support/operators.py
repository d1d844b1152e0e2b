"""Operator processes under test."""

import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx

from tests.cluster.errors import ClusterError
from tests.cluster.waiting import wait_until

FAKE = "tests.integration.manager.fake_operator"
ROOT = Path(__file__).parents[2]

SHORT_LEASE = {
    "MODELRUNNER_LEASE_SECONDS": "15",
    "MODELRUNNER_LEASE_RENEW_SECONDS": "12",
    "MODELRUNNER_LEASE_RETRY_SECONDS": "0.5",
}
"""For tests in which a lease runs out; a leader that stands still as long as that ends."""


class Operator:
    """One operator process: `start` it, ask it over HTTP, `end` it.

    Its reconcilers only write down what they are asked (fake_operator) unless `module` says
    otherwise. Its lease outlasts every standstill of a busy machine: one that could run out by
    chance would end leaders of tests that are about something else.
    """

    def __init__(self, kubeconfig: Path, namespace: str, folder: Path) -> None:
        folder.mkdir()
        self._log = folder / "log"
        self._environment = {
            "PATH": os.environ["PATH"],
            "KUBECONFIG": str(kubeconfig),
            "POD_NAMESPACE": namespace,
            "MODELRUNNER_WATCH_NAMESPACES": namespace,
            "MODELRUNNER_HTTP_HOST": "127.0.0.1",
            "MODELRUNNER_HTTP_PORT": "0",
            "MODELRUNNER_LEASE_SECONDS": "600",
            "MODELRUNNER_LEASE_RENEW_SECONDS": "500",
            # So long the lease's release may take, too, while the API server stands still.
            "MODELRUNNER_LEASE_RETRY_SECONDS": "5",
            "MODELRUNNER_DISCOVERY_SECONDS": "1",
            **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE")},
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
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()

    def start(self, *arguments: str, module: str = FAKE, **environment: str) -> None:
        """Start the process; with `environment` over the usual one."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                env={**self._environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        """The process that was started last."""
        assert self._process is not None
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def end(self, seconds: float = 120) -> int:
        """Wait for its end; its exit status."""
        assert self._process is not None
        return self._process.wait(seconds)

    @property
    def log(self) -> str:
        """All whole lines that it has written."""
        text = self._log.read_text("utf-8")
        return text[: text.rfind("\n") + 1]

    def lines(self, start: str) -> list[str]:
        """The lines that begin so, without that."""
        return [
            line.removeprefix(start) for line in self.log.splitlines() if line.startswith(start)
        ]

    def get(self, path: str) -> tuple[int, Any]:
        """A probe's or the metrics' status and body; 0 while nobody answers."""
        told = [line for line in self.log.splitlines() if '"port": ' in line]
        if not told:
            return 0, ""
        port = told[-1].rpartition('"port": ')[2].rstrip("}")
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}{path}", timeout=30)
        except httpx.TransportError:
            return 0, ""
        return answer.status_code, answer.json() if path != "/metrics" else answer.text

    def wait(self, what: str, condition: Callable[[], object], seconds: float = 120) -> None:
        """Wait until `condition` holds.

        Raises:
            AssertionError: it did not, or the process ended; with its log.
        """
        try:
            wait_until(
                what, lambda: bool(condition()) or self._ended(), seconds=seconds, interval=0.1
            )
        except ClusterError as error:
            raise AssertionError(f"{error}\n{self.log}") from error
        assert not self._ended(), f"it ended while waiting for {what}\n{self.log}"

    def _ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def wait_role(self, role: str) -> None:
        """Wait until it is ready in this role (standby, leader)."""
        self.wait(role, lambda: self.get("/readyz")[0] == 200 and self.role == role)

    @property
    def role(self) -> str:
        """What it says it is."""
        return str(dict(self.get("/readyz")[1] or {}).get("role"))
