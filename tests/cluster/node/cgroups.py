"""The control groups below which all pods lie; works with cgroup v1 and v2."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.settings import NAME
from tests.cluster.waiting import wait_until

_ROOT = Path("/sys/fs/cgroup")
_V2_CONTROLLERS = ("cpu", "cpuset", "memory", "pids")


def create(root: Path = _ROOT, name: str = NAME) -> None:
    """Make the group `name` in every hierarchy: the kubelet wants its root to exist.

    A root of our own, so that a kubelet of this machine and ours never share a group.

    Raises:
        ClusterError: the controllers cannot be handed down (cgroup v2 in a container).
    """
    if (root / "cgroup.controllers").exists():
        _create_v2(root, name)
        return
    for hierarchy in _v1_hierarchies(root):
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        for setting in (
            "cpuset.cpus",
            "cpuset.mems",
        ):  # empty in a new group, and no task may enter
            if (group / setting).exists():
                (group / setting).write_text((hierarchy / setting).read_text())


def _create_v2(root: Path, name: str) -> None:
    try:
        for controller in _V2_CONTROLLERS:
            (root / "cgroup.subtree_control").write_text(f"+{controller}")
    except OSError as error:
        raise ClusterError(
            f"the cgroup controllers {', '.join(_V2_CONTROLLERS)} cannot be handed to child groups "
            f"of {root} ({error}). In a container, start it with the host's cgroup namespace "
            "(docker run --privileged --cgroupns=host)"
        ) from error
    (root / name).mkdir(exist_ok=True)


def remove(root: Path = _ROOT, name: str = NAME, seconds: float = 20) -> None:
    """Remove the group with all below it, as soon as its processes are gone.

    Raises:
        ClusterError: a process stays in it for longer than `seconds`.
    """

    def removed() -> bool:
        for top in _tops(root, name):
            for path, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    Path(path).rmdir()
        return not any(_tops(root, name))

    wait_until(f"removal of the cgroups {name}", removed, seconds=seconds)


def _tops(root: Path, name: str) -> Iterator[Path]:
    """The group in every hierarchy; a v1 machine may have a v2 one beside them."""
    if root.is_dir():
        for hierarchy in (root, *(entry for entry in root.iterdir() if not entry.is_symlink())):
            if (hierarchy / name).is_dir():
                yield hierarchy / name


def _v1_hierarchies(root: Path) -> Iterator[Path]:
    """Mounted v1 hierarchies; `cpu` may be a link to `cpu,cpuacct`, which is then used once."""
    if root.is_dir():
        for entry in root.iterdir():
            if not entry.is_symlink() and (entry / "cgroup.clone_children").exists():
                yield entry
