"""Programs that the node takes from the distribution."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.cluster.commands import run
from tests.cluster.errors import ClusterError
from tests.cluster.progress import Progress

CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/usr/libexec/cni"), Path("/opt/cni/bin"))
_CNI_PLUGINS = ("bridge", "host-local", "portmap", "loopback")
# Debian's package → the program it is known by.
PROGRAM_OF = {
    "runc": "runc",
    "buildah": "buildah",
    "iptables": "iptables",
    "nftables": "nft",
    "iproute2": "ip",
    "conntrack": "conntrack",
    "ipset": "ipset",
    "socat": "socat",
    "ethtool": "ethtool",
    "debootstrap": "debootstrap",
    "kmod": "modprobe",
    "procps": "sysctl",
    "util-linux": "unshare",
}
_CNI_PACKAGE = "containernetworking-plugins"


def cni_folder() -> Path | None:
    """The folder of the CNI plugins; None when there is none with all we need."""
    for folder in CNI_FOLDERS:
        if all((folder / plugin).exists() for plugin in _CNI_PLUGINS):
            return folder
    return None


def found(program: str) -> bool:
    """Whether a program is installed; root's folders are not always in a user's PATH."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/local/sbin"
    return shutil.which(program, path=path) is not None


def missing(
    has_program: Callable[[str], bool] = found, has_cni: Callable[[], object] = cni_folder
) -> list[str]:
    """Packages (by Debian's names) that are not installed."""
    absent = [package for package, program in PROGRAM_OF.items() if not has_program(program)]
    return absent if has_cni() else [*absent, _CNI_PACKAGE]


def ensure(progress: Progress) -> None:
    """Install what is missing where there is apt-get.

    Raises:
        ClusterError: something is missing and cannot be installed; the message names it.
    """
    absent = missing()
    if not absent:
        return
    if not found("apt-get"):
        raise ClusterError(
            f"not installed: {_described(absent)}. Install them, then run this again"
        )
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    with progress.during("reading the distribution's package lists"):
        run("apt-get", "update", "-qq", timeout=300)
    with progress.during(f"installing {' '.join(absent)}"):
        command = ("apt-get", "install", "-y", "-qq", "--no-install-recommends", *absent)
        run(*command, environment=environment, timeout=900)
    if absent := missing():
        raise ClusterError(f"still not installed after apt-get: {_described(absent)}")


def _described(packages: list[str]) -> str:
    return ", ".join(
        f"{package} (the program {PROGRAM_OF[package]})"
        if package in PROGRAM_OF
        else f"{package} (the plugins {', '.join(_CNI_PLUGINS)} in one of {', '.join(map(str, CNI_FOLDERS))})"
        for package in packages
    )
