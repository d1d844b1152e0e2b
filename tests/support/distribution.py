"""Programs of Debian's packages, unpacked into the cache: nothing is installed, nothing started."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.cluster.commands import run
from tests.cluster.errors import ClusterError
from tests.cluster.locks import locked
from tests.cluster.packages import found
from tests.cluster.progress import Progress
from tests.cluster.settings import cache_folder
from tests.support.archives import publish, workspace

_NEW: Final = re.compile(r"^Inst (\S+)", re.MULTILINE)
_PROGRAMS: Final = ("usr/sbin", "usr/bin")
_LIBRARIES: Final = "usr/lib"


@dataclass(frozen=True)
class Unpacked:
    """One program. Start it with `environment`: its libraries may lie beside it."""

    program: Path
    version: str
    environment: dict[str, str]


def unpacked(package: str, program: str, progress: Progress) -> Unpacked:
    """The program of a package; taken from the distribution's archive once per version.

    Its own libraries come with it unless the machine has them.

    Raises:
        ClusterError: this is no Debian or Ubuntu, or its archive does not have the package.
    """
    if not found("apt-get"):
        raise ClusterError(f"{package} is taken from Debian's packages, and there is no apt-get")
    root = cache_folder() / "packages"
    with locked(root / "lock", what=f"unpacking {package}", progress=progress):
        version = _candidate(package, progress)
        folder = root / f"{package}-{version.replace(':', '-')}"
        if not folder.is_dir():
            with progress.during(f"fetching {package} {version}"), workspace(root) as space:
                publish(_unpack(package, Path(space)), folder)
    return _program(folder, program, version)


def _candidate(package: str, progress: Progress) -> str:
    """The version that apt-get would install; the package lists are read when they lack it."""
    if version := _policy(package):
        return version
    with progress.during("reading the distribution's package lists"):
        run("apt-get", "update", "-qq", timeout=300)
    if version := _policy(package):
        return version
    raise ClusterError(f"apt-get knows no package {package}: check /etc/apt/sources.list*")


def _policy(package: str) -> str:
    told = run("apt-cache", "policy", package, environment={"LC_ALL": "C"})
    version = told.partition("Candidate:")[2].split()
    return version[0] if version and version[0] != "(none)" else ""


def _unpack(package: str, space: Path) -> Path:
    plan = run("apt-get", "install", "--simulate", "--no-install-recommends", package)
    names = sorted({package, *_NEW.findall(plan)})
    run("apt-get", "download", "-qq", *names, folder=space, timeout=600)
    target = space / "unpacked"
    for archive in space.glob("*.deb"):
        run("dpkg", "-x", archive, target)
    return target


def _program(folder: Path, name: str, version: str) -> Unpacked:
    program = next((path for at in _PROGRAMS if (path := folder / at / name).exists()), None)
    if program is None:
        raise ClusterError(f"{folder.name} has no program {name}")
    libraries = {str(path.parent) for path in (folder / _LIBRARIES).rglob("*.so*")}
    environment = {"LD_LIBRARY_PATH": os.pathsep.join(sorted(libraries))} if libraries else {}
    ldd = shutil.which("ldd")
    if ldd:
        needs = subprocess.run(
            [ldd, program],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if absent := re.findall(r"(\S+) => not found", needs.stdout):
            raise ClusterError(f"{name} {version} needs {', '.join(absent)}")
    return Unpacked(program, version, environment)
