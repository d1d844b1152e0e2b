"""Where proxies are measured: two processors, one model server, one load generator.

The proxies share the first processor, of which the one that is measured uses nearly all, as the
others have nothing to do. Everything else, this program and the API server included, shares the
second. All sides run all the time and are measured in turn, so that the machine's mood hits all.
"""

import contextlib
import os
import resource
import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.cluster.errors import ClusterError
from tests.cluster.progress import Progress
from tests.cluster.waiting import wait_until
from tests.perf.load.generator import Load, Report, load
from tests.perf.load.programs import Programs
from tests.perf.options import Options
from tests.perf.peers.envoy import Envoy
from tests.perf.peers.gateway import Gateway
from tests.perf.peers.haproxy import HaProxy
from tests.perf.peers.litellm import LiteLlm
from tests.perf.peers.nginx import Nginx
from tests.perf.peers.side import Proxy, Scene, Side, free_port
from tests.perf.peers.vllm_router import VllmRouter
from tests.support.addresses import borrowed

GATEWAY: Final = Gateway.name
KINDS: Final[dict[str, type[Side]]] = {
    kind.name: kind for kind in (Gateway, Nginx, Envoy, VllmRouter, LiteLlm, HaProxy)
}
PACE_MICROSECONDS: Final = 20_000
"""Between two events of a stream."""

_FILES: Final = 16_384


@dataclass(frozen=True)
class Measurement:
    """One side in one round.

    Attributes:
        report: what the load generator saw.
        cpu: seconds of processor time of all its processes.
        wall: seconds until the last answer was there.
    """

    report: Report
    cpu: float
    wall: float

    @property
    def cpu_per_answer(self) -> float:
        """Microseconds."""
        return self.cpu * 1e6 / max(1, self.report.answers)

    @property
    def cpu_per_event(self) -> float:
        """Microseconds; each stream's beginning and end are in it."""
        return self.cpu * 1e6 / max(1, self.report.events)

    @property
    def busy(self) -> float:
        """Share of a processor that it used."""
        return self.cpu / self.wall


@dataclass(frozen=True)
class Arena:
    """A model server, ready for proxies in front of it."""

    scene: Scene
    programs: Programs

    def request(self, name: str, content: bytes) -> Path:
        """A file with a request."""
        file = self.scene.folder / name
        file.write_bytes(content)
        return file

    @contextmanager
    def load(
        self,
        address: tuple[str, int],
        request: Path,
        *,
        connections: int,
        seconds: float,
        ramp: float = 0,
        once: bool = False,
        cut: bool = False,
        ids: bool = False,
    ) -> Iterator[Load]:
        """The load generator, at work."""
        program = (self.programs.generator,)
        with load(
            program,
            address,
            request,
            connections=connections,
            seconds=seconds,
            ramp=ramp,
            once=once,
            cut=cut,
            ids=ids,
        ) as running:
            yield running

    def measure(
        self,
        proxy: Proxy | None,
        request: Path,
        *,
        connections: int,
        seconds: float,
        ramp: float = 0,
        cut: bool = False,
        ids: bool = False,
    ) -> Measurement:
        """Put load on a proxy, or on the model server itself, and wait for the end."""
        address = proxy.address if proxy else self.scene.backend
        begin, before = time.monotonic(), proxy.cpu_seconds() if proxy else 0.0
        with self.load(
            address, request, connections=connections, seconds=seconds, ramp=ramp, cut=cut, ids=ids
        ) as running:
            report = running.report()
        wall = time.monotonic() - begin
        return Measurement(report, proxy.cpu_seconds() - before if proxy else 0.0, wall)


def chosen(options: Options, usual: Sequence[str]) -> list[Side]:
    """The sides to be measured, installed; the gateway first.

    Raises:
        ClusterError: a name is none of ours, or a peer cannot be had.
    """
    names = options.sides or tuple(usual)
    if unknown := set(names) - set(KINDS):
        raise ClusterError(f"no side {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    sides = [kind() for name, kind in KINDS.items() if name in names]
    progress = Progress()
    for side in sides:
        side.install(progress)
    return sides


@contextmanager
def arena(progress: Progress) -> Iterator[Arena]:
    """The model server at an address that can be a pod's.

    Raises:
        ClusterError: the machine has one processor only, or something is not installed.
    """
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        raise ClusterError("two processors are needed: one for the proxies, one for the load")
    programs = Programs.ensure()
    _allow_files()
    with _confined_to(processors[1]), contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        host = stack.enter_context(borrowed())
        backend = (host, free_port())
        words = (str(programs.backend), host, str(backend[1]), str(PACE_MICROSECONDS))
        server = stack.enter_context(subprocess.Popen(words))
        stack.callback(server.kill)
        scene = Scene(
            folder=folder,
            backend=backend,
            key=f"sk-{secrets.token_hex(24)}",
            pin=("taskset", "--cpu-list", str(processors[0])),
            progress=progress,
        )
        wait_until("the model server", lambda: _listens(backend), interval=0.02)
        yield Arena(scene, programs)


@contextmanager
def running(sides: Sequence[Side], scene: Scene) -> Iterator[list[Proxy]]:
    """All sides at once, in their order."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(side.run(scene)) for side in sides]


@contextmanager
def _confined_to(processor: int) -> Iterator[None]:
    """Keep this process, and what it starts without another word, on one processor."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {processor})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _allow_files() -> None:
    """Let this process and its children open many connections.

    Raises:
        ClusterError: the machine does not allow it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= _FILES:
        return
    if hard != resource.RLIM_INFINITY and hard < _FILES:
        raise ClusterError(f"{_FILES} open files are needed and {hard} are allowed: ulimit -Hn")
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, hard))


def _listens(address: tuple[str, int]) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(address, timeout=1):
        return True
    return False
