"""The programs that images are made with, installed where that is possible."""

import os
from typing import Final

from tests.cluster.commands import run, succeeds
from tests.cluster.packages import found
from tests.cluster.progress import Progress

# Debian's packages, each with a program of its name.
_PACKAGES: Final = ("buildah", "debootstrap")


def docker_answers() -> bool:
    """Whether there is a client of docker with a daemon behind it."""
    return found("docker") and succeeds("docker", "version", "--format", "{{.Server.Version}}")


def ensure_tools(progress: Progress) -> None:
    """Install buildah and debootstrap if they are needed, missing, and root may install them.

    Raises:
        ClusterError: apt-get failed.
    """
    absent = [name for name in _PACKAGES if not found(name)]
    if not absent or docker_answers() or os.geteuid() != 0 or not found("apt-get"):
        return
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    with progress.during(f"installing {' and '.join(absent)}"):
        run("apt-get", "update", "-qq", timeout=300)
        install = ("apt-get", "install", "-y", "-qq", "--no-install-recommends", *absent)
        run(*install, environment=environment, timeout=900)
