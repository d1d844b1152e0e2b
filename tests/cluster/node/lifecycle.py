"""Starting and ending the node."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.cluster.build import Build
from tests.cluster.commands import run, succeeds
from tests.cluster.errors import ClusterError
from tests.cluster.node import cgroups, network, sysctls
from tests.cluster.node.configuration import INIT, write_files
from tests.cluster.ownership import RUNTIME_FOLDER
from tests.cluster.packages import cni_folder
from tests.cluster.processes import Processes
from tests.cluster.waiting import wait_until

_SYSCTLS = RUNTIME_FOLDER / "sysctls.json"
_MADE_FOLDERS = RUNTIME_FOLDER / "made-folders.json"
# Folders of this machine over which the node binds its own; made when they are not there.
_MOUNT_POINTS = (Path("/var/lib/kubelet"), Path("/var/lib/cni"))
_PROCESS = "node"


class Node:
    """The node of the cluster in `folder`."""

    def __init__(self, folder: Path, processes: Processes) -> None:
        self._folder = folder
        self._files = folder / "node"
        self._processes = processes

    def start(self, build: Build) -> None:
        """Start the node's first process and connect it; the rest comes up behind it.

        Everything that changes the machine is written down before it is done, so that `clean`
        undoes it even when this is killed in between.
        """
        cni = cni_folder()
        if cni is None:
            raise ClusterError("the CNI plugins are not installed")
        sysctls.remember(_SYSCTLS)
        sysctls.raise_limits()
        _make_mount_points()
        cgroups.create()
        init = write_files(
            self._files,
            self._folder / "pki",
            self._processes.logs,
            build.programs,
            cni,
            self._folder / "volumes",
        )
        self._boot(build, init)

    def reboot(self, build: Build) -> None:
        """Cut the node's power and start it again: what its disk holds is all that it knows.

        The kubelet, containerd and every container end at once, unasked.
        """
        self._processes.stop(_PROCESS, grace=0)
        network.disconnect()
        cgroups.remove()
        cgroups.create()
        for left in ("connected", "containerd.sock"):
            (self._files / left).unlink(missing_ok=True)
        self._boot(build, self._files / INIT)

    @contextlib.contextmanager
    def cut_off(self) -> Iterator[Callable[[], int]]:
        """See `network.cut_off`."""
        identity = self._processes.identity(_PROCESS)
        if identity is None:
            raise ClusterError("the node does not run")
        with network.cut_off(identity.pid) as lost:
            yield lost

    def _boot(self, build: Build, init: Path) -> None:
        namespaces = ("--net", "--mount", "--pid", "--uts", "--ipc")
        options = ("--fork", "--kill-child", "--mount-proc", "--propagation", "private")
        identity = self._processes.start(
            _PROCESS, "unshare", *namespaces, *options, init, path=[build.programs]
        )
        network.connect(identity.pid)
        (self._files / "connected").touch()

    def wait_for_containerd(self, build: Build) -> None:
        """Return once containerd answers."""

        def answers() -> bool:
            self._processes.require(_PROCESS)
            return succeeds(*self._ctr(build), "version")

        wait_until("containerd", answers, hint=f"Logs: {self._processes.logs}")

    def load(self, build: Build, archive: Path) -> None:
        """Import an OCI or Docker archive under the names it holds."""
        run(*self._ctr(build), "-n", "k8s.io", "images", "import", archive, timeout=900)

    def _ctr(self, build: Build) -> tuple[str | Path, ...]:
        return (build.programs / "ctr", "-a", self._files / "containerd.sock")

    def clean(self) -> None:
        """Undo all that `start` did, however far it came.

        Every process ends first: the kubelet may write to the machine until then.
        """
        self._processes.stop_all()
        network.disconnect()
        cgroups.remove()
        for place in _made_mount_points():
            with contextlib.suppress(OSError):  # somebody else uses it by now
                place.rmdir()
        sysctls.put_back(_SYSCTLS)
        for record in (_MADE_FOLDERS, _SYSCTLS):
            record.unlink(missing_ok=True)


def _make_mount_points() -> None:
    """Make what is missing; after a crash what was made before stays ours to remove."""
    absent = [place for place in _MOUNT_POINTS if not place.exists()]
    made = sorted({*map(str, absent), *map(str, _made_mount_points())})
    _MADE_FOLDERS.write_text(json.dumps(made), encoding="utf-8")
    for place in absent:
        place.mkdir(parents=True)


def _made_mount_points() -> list[Path]:
    try:
        return [Path(name) for name in json.loads(_MADE_FOLDERS.read_text(encoding="utf-8"))]
    except (OSError, ValueError):
        return []
