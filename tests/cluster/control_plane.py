"""etcd, API server and controller manager on loopback, without a node: for integration tests.

    with ControlPlane() as plane:
        client = connect(plane.kubeconfig)

Several can run at once, in one or many test processes. Pods are created by the controllers and
stay pending (with `start_scheduler` and Node objects they get nodes, on which nothing runs); RBAC, admission and service-account tokens are as in production.
"""

import contextlib
import shutil
import socket
import types
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

from tests.cluster import build as builds
from tests.cluster import marker
from tests.cluster.daemons import CONTROLLER_MANAGER, Daemons
from tests.cluster.errors import ClusterError
from tests.cluster.locks import try_lock
from tests.cluster.processes import Identity, Processes
from tests.cluster.progress import Progress
from tests.cluster.settings import run_folder
from tests.cluster.waiting import wait_until

_ADDRESS = "127.0.0.1"
_PREFIX = "control-plane-"
# Below the ports the kernel hands out to clients, ten apart; each uses five.
_PORTS = range(17000, 18000, 10)
_NEEDED = 5


class ControlPlane:
    """One control plane; a context manager, or start() and stop().

    Attributes:
        port: the API server's port; None until start() has chosen one.
    """

    def __init__(
        self,
        *,
        port: int | None = None,
        controllers: bool = True,
        folder: Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Prepare it; nothing runs before start().

        Args:
            port: the first of the five ports it takes; a free one when None.
            controllers: whether the controller manager runs (garbage collection, Deployments,
                service accounts); without it a control plane is lighter.
            folder: the run folder, by default the one of all clusters.
            progress: where its steps are told; a silent one is not told at all.
        """
        self.port = port
        self._controllers = controllers
        self._run_folder = folder or run_folder()
        self._progress = progress
        self._lock: IO[str] | None = None
        self._running: Daemons | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def folder(self) -> Path:
        """Its files; FOLDER/log holds the logs."""
        if self.port is None:
            raise ClusterError("the control plane was not started")
        return self._run_folder / f"{_PREFIX}{self.port}"

    @property
    def kubeconfig(self) -> Path:
        """Path of the administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://{_ADDRESS}:{self.port}"

    @property
    def certificate_authority(self) -> Path:
        """PEM file of the authority that signed the API server's certificate."""
        return self.folder / "pki/ca.crt"

    @property
    def programs(self) -> Path:
        """The folder of kubectl, helm and the like, while it runs."""
        return self._daemons().programs

    @property
    def owner(self) -> Identity | None:
        """The process whose end makes it abandoned; None when it was started to be kept."""
        return Identity.load(self.folder / "owner")

    def start(self, *, keep: bool = False) -> None:
        """Build what is not built, start, and return once the API server is ready.

        Args:
            keep: whether it goes on after this process; else a later start or `down` ends it.

        Raises:
            ClusterError: a prerequisite is missing, the port is taken, or it did not come up.
        """
        from tests.cluster.pki import make_pki  # noqa: PLC0415 - needs a package; stop() must not

        build = builds.ensure(self._progress or Progress())
        _remove_abandoned(self._run_folder)
        self.port, self._lock = self._take_port()
        processes = Processes(self.folder)
        daemons = Daemons(self.folder, build.programs, _ADDRESS, self.port, processes)
        self._running = daemons
        try:
            self.folder.mkdir(parents=True)
            owner = None if keep else Identity.of_self()
            if owner:
                owner.save(self.folder / "owner")
            make_pki(daemons.pki, daemons.server, _ADDRESS)
            daemons.start_etcd()
            self.start_apiserver()
            shutil.copy2(daemons.pki / "admin.kubeconfig", self.kubeconfig)
            marker.apply(build.programs / "kubectl", self.kubeconfig)
            self._wait_for_default_account(daemons)
        except BaseException:
            self.stop()
            raise

    def _wait_for_default_account(self, daemons: Daemons) -> None:
        """Without it the API server refuses pods of the first test."""
        path = "/api/v1/namespaces/default/serviceaccounts/default"
        if self._controllers:
            logs = f"Logs: {daemons.processes.logs}"
            wait_until("default service account", lambda: bool(daemons.get(path)), hint=logs)

    def stop(self) -> None:
        """End it and remove its files; nothing happens when it does not run."""
        if self.port is not None and self.folder.exists():
            processes = self._running.processes if self._running else Processes(self.folder)
            processes.stop_all()
            shutil.rmtree(self.folder)
        self._running = None
        self._release_port()

    def remove_if_abandoned(self) -> None:
        """Stop it if the process that it was for has ended; of several that find it so one does."""
        if self.port is None or not self._abandoned:
            return
        self._lock = try_lock(self._lock_file(self.port))
        if self._lock is None:
            return
        # Whoever had the lock until now may have removed it.
        if self._abandoned:
            self.stop()
        else:
            self._release_port()

    @property
    def _abandoned(self) -> bool:
        return self.owner is not None and not self.owner.alive

    def _release_port(self) -> None:
        """Remove the port's lock file; the process that started a kept one left it unlocked."""
        if self.port is None:
            return
        file = self._lock_file(self.port)
        if lock := self._lock or (try_lock(file) if file.exists() else None):
            file.unlink(missing_ok=True)
            lock.close()
            self._lock = None

    def _lock_file(self, port: int) -> Path:
        return self._run_folder / f"port-{port}.lock"

    def start_scheduler(self) -> None:
        """Start the scheduler, too: pods get nodes, as far as there are Node objects."""
        self._daemons().start_scheduler()

    def stop_apiserver(self, *, abruptly: bool = True) -> None:
        """Take the API server away, as an outage does; etcd keeps everything.

        Args:
            abruptly: killed, connections cut; else it ends by itself and closes watches first.
        """
        self._daemons().processes.stop("kube-apiserver", grace=0 if abruptly else 70)

    def start_apiserver(self) -> None:
        """Start the API server (again), return once it is ready, and start the controllers anew.

        Controllers that saw an outage look again only after up to half a minute: the next test of
        this control plane would wait for its pods that long.
        """
        daemons = self._daemons()
        # The API server refuses to publish a loopback address as the kubernetes Service.
        daemons.start_apiserver("--endpoint-reconciler-type=none")
        daemons.wait_until_ready()
        if self._controllers:
            daemons.processes.stop(CONTROLLER_MANAGER, grace=0)
            # Nodes have no kubelets here: a slow test would see its pods become unready.
            daemons.start_controller_manager(
                "--node-startup-grace-period=24h", "--node-monitor-grace-period=24h"
            )

    def _daemons(self) -> Daemons:
        if self._running is None:
            raise ClusterError("the control plane was not started by this process")
        return self._running

    def _take_port(self) -> tuple[int, IO[str]]:
        """A port whose lock is now ours and on which nobody listens."""
        self._run_folder.mkdir(parents=True, exist_ok=True)
        for port in _PORTS if self.port is None else [self.port]:
            if lock := try_lock(self._lock_file(port)):
                in_use = (self._run_folder / f"{_PREFIX}{port}").exists()
                if not in_use and _free(port):
                    return port, lock
                lock.close()
        if self.port is None:
            raise ClusterError(f"no {_NEEDED} free ports from {_PORTS.start} to {_PORTS.stop}")
        raise ClusterError(
            f"a port of {self.port} to {self.port + _NEEDED - 1} is taken, by a control plane "
            f"(python -m tests.cluster control-plane-down --port {self.port}) or another program"
        )


def everything(folder: Path) -> Iterator[ControlPlane]:
    """Control planes of the run folder, running or not."""
    for entry in sorted(folder.glob(f"{_PREFIX}*")):
        with contextlib.suppress(ValueError):
            yield ControlPlane(port=int(entry.name.removeprefix(_PREFIX)), folder=folder)


def _remove_abandoned(folder: Path) -> None:
    """Stop the control planes whose test process ended without doing so."""
    for plane in everything(folder):
        plane.remove_if_abandoned()


def _free(port: int) -> bool:
    for number in range(port, port + _NEEDED):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_ADDRESS, number))
            except OSError:
                return False
    return True
