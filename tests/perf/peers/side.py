"""One proxy that is measured: how it is had, started and ended."""

import contextlib
import os
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import httpx

from tests.cluster.errors import ClusterError
from tests.cluster.progress import Progress
from tests.cluster.waiting import wait_until
from tests.perf.load.requests import MODEL, PATH
from tests.perf.usage import cpu_seconds, memory_mib

_START_SECONDS = 120


@dataclass(frozen=True)
class Scene:
    """What every side is given.

    Attributes:
        folder: for its files.
        backend: IPv4 address and port of the model server that all sides share.
        key: the API key that requests carry.
        pin: words before a command that keep it on the proxies' processor.
        progress: where steps are told.
    """

    folder: Path
    backend: tuple[str, int]
    key: str
    pin: tuple[str, ...]
    progress: Progress

    @property
    def backend_url(self) -> str:
        """Without a path."""
        return "http://{}:{}".format(*self.backend)


@dataclass(frozen=True)
class Proxy:
    """A proxy that runs: where it listens, and the session that all its processes are in."""

    name: str
    version: str
    address: tuple[str, int]
    session: int

    def cpu_seconds(self) -> float:
        """Processor time so far."""
        return cpu_seconds(self.session)

    def memory_mib(self) -> float:
        """Memory now."""
        return memory_mib(self.session)


class Side(ABC):
    """A kind of proxy. `name` is what the command line and the tables call it."""

    name: ClassVar[str]

    @abstractmethod
    def install(self, progress: Progress) -> None:
        """Fetch what is missing, into the cache.

        Raises:
            ClusterError: something cannot be had; the message names it.
        """

    @abstractmethod
    def run(self, scene: Scene) -> AbstractContextManager[Proxy]:
        """A running proxy in front of the backend; it has answered a request."""


def free_port() -> int:
    """A port of the loopback interface on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def started(
    scene: Scene,
    name: str,
    version: str,
    port: int,
    command: Sequence[str | Path],
    environment: Mapping[str, str] | None = None,
) -> Iterator[Proxy]:
    """Start a proxy and wait until it passes a request on; end all its processes afterwards.

    Raises:
        ClusterError: it ended, or did not get so far; with the end of its log.
    """
    file = scene.folder / f"{name}.log"
    with file.open("wb") as log:
        process = subprocess.Popen(
            [*scene.pin, *map(str, command)],
            cwd=scene.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(scene.folder), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    proxy = Proxy(name, version, ("127.0.0.1", port), process.pid)
    try:
        with scene.progress.during(f"starting {name}"):
            _wait(proxy, process, scene.key, file)
        yield proxy
    finally:
        _end(process)


def _wait(proxy: Proxy, process: "subprocess.Popen[bytes]", key: str, log: Path) -> None:
    answers: list[str] = []
    with httpx.Client(
        base_url="http://{}:{}".format(*proxy.address), timeout=10, trust_env=False
    ) as client:

        def answered() -> bool:
            if process.poll() is not None:
                raise ClusterError(f"{proxy.name} ended by itself:\n{_last_lines(log)}")
            answers[:] = [_ask(client, key)]
            return answers[0] == "200"

        try:
            wait_until(proxy.name, answered, seconds=_START_SECONDS, interval=0.1)
        except ClusterError as error:
            if process.poll() is not None:
                raise
            raise ClusterError(f"{error} It said {answers}.\n{_last_lines(log)}") from error


def _ask(client: httpx.Client, key: str) -> str:
    body = {"model": MODEL, "max_tokens": 8, "messages": [{"role": "user", "content": "Hello"}]}
    try:
        answer = client.post(PATH, json=body, headers={"Authorization": f"Bearer {key}"})
    except httpx.TransportError as error:
        return repr(error)
    return "200" if answer.is_success else f"{answer.status_code} {answer.text[:300]}"


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the session; the peers' workers end with their parents or are ended here."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_lines(log: Path) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-15:])
