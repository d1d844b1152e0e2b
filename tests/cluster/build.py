"""Builds kept outside the checkout: CACHE/cluster/KEY/{bin,images}, made once per set of inputs."""

import contextlib
import dataclasses
import os
import shutil
import subprocess
import threading
from collections.abc import Iterable
from pathlib import Path

from tests.cluster import prerequisites
from tests.cluster.errors import ClusterError
from tests.cluster.go_programs import (
    BUILD_ENVIRONMENT,
    PROGRAMS,
    Program,
    build_key,
    go_environment,
)
from tests.cluster.images import COREDNS, PAUSE, write_image
from tests.cluster.locks import locked
from tests.cluster.progress import Progress
from tests.cluster.settings import cache_folder

KEPT = 2


@dataclasses.dataclass(frozen=True)
class Build:
    """A finished build in `folder`."""

    folder: Path

    @property
    def programs(self) -> Path:
        """The folder of all programs; it can go before PATH."""
        return self.folder / "bin"

    @property
    def images(self) -> tuple[Path, ...]:
        """OCI archives every node needs: pause and CoreDNS."""
        return (self.folder / "images/pause.tar", self.folder / "images/coredns.tar")

    @property
    def complete(self) -> bool:
        """Whether it is there; builds appear under their name only when whole."""
        return self.programs.is_dir()


def builds_folder() -> Path:
    """Where all builds lie."""
    return cache_folder() / "cluster"


def current() -> Build:
    """The build of the sources as they are now, whether it is there or not."""
    go = go_environment()
    return Build(builds_folder() / build_key(go["GOVERSION"], go["GOARCH"]))


def newest() -> Build | None:
    """The newest finished build, of whatever sources; needs no Go."""
    kept = _finished(builds_folder())
    return Build(kept[0]) if kept else None


def ensure(progress: Progress) -> Build:
    """Return the build of the current sources; make it first when it is not there.

    Raises:
        ClusterError: a prerequisite is missing or the compiler failed.
    """
    prerequisites.check_go()
    build = current()
    if build.complete:
        return build
    folder = builds_folder()
    with locked(folder / "lock", what="building Kubernetes", progress=progress):
        if build.complete:  # by the process we waited for
            return build
        go = go_environment()
        first = newest() is None
        prerequisites.check_build_space(
            [folder, Path(go["GOCACHE"]), Path(go["GOMODCACHE"])], first
        )
        for leftover in folder.glob("*.partial"):
            shutil.rmtree(leftover)
        if first:
            progress.say(
                "building Kubernetes once: about 10 minutes on 2 cores, later runs reuse it"
            )
        partial = build.folder.with_suffix(".partial")
        _make(Build(partial), go["GOARCH"], progress)
        partial.rename(build.folder)
        _prune(folder, keep=build.folder)
    progress.say(f"built: {build.folder}")
    return build


def _make(build: Build, architecture: str, progress: Progress) -> None:
    build.programs.mkdir(parents=True)
    for program in PROGRAMS:
        _compile(program, build.programs, progress)
        for link in program.links:
            (build.programs / link).symlink_to(program.name)
    users = {PAUSE: "65535:65535", COREDNS: "0:0"}
    for file, (name, user) in zip(build.images, users.items(), strict=True):
        binary = build.programs / file.stem
        write_image(file, name, binary, architecture=architecture, user=user)


def _compile(program: Program, folder: Path, progress: Progress) -> None:
    command = ["go", "build", "-v", *program.flags(), "-o", str(folder), program.package]
    if program.package.startswith("."):
        command[-2] = str(folder / program.name)
    with subprocess.Popen(
        command,
        cwd=program.module,
        env={**os.environ, **BUILD_ENVIRONMENT},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as compiler:
        counter = _Counter(program.packages)
        reader = threading.Thread(target=counter.read, args=(compiler.stderr or (),), daemon=True)
        reader.start()
        try:
            with progress.during(f"compiling {program.name}", counter.shown):
                status = compiler.wait()
        except BaseException:
            compiler.terminate()
            raise
        reader.join()
    if status != 0:
        last = "\n".join(counter.others[-20:])
        raise ClusterError(f"compiling {program.name} failed:\n{last}")


class _Counter:
    """Counts what `go build -v` tells: a line per compiled package, and downloads."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._compiled = 0
        self._downloaded = 0
        self.others: list[str] = []

    def read(self, lines: Iterable[str]) -> None:
        for line in lines:
            if line.startswith("go: downloading "):
                self._downloaded += 1
            elif " " in line.strip() or line.startswith("#"):
                self.others.append(line.rstrip())
            else:
                self._compiled += 1

    def shown(self) -> str:
        words = []
        if self._downloaded:
            words.append(f"{self._downloaded} modules fetched")
        if self._compiled:
            words.append(f"{self._compiled} of about {self._expected} packages")
        return ", ".join(words) or "looking for what changed"


def _finished(folder: Path) -> list[Path]:
    """Finished builds, newest first."""
    builds = [entry for entry in folder.glob("*") if Build(entry).complete and not entry.suffix]
    return sorted(builds, key=lambda entry: entry.stat().st_mtime, reverse=True)


def _prune(folder: Path, keep: Path) -> None:
    """Remove all but the newest builds; one that a process still runs from stays."""
    for old in _finished(folder)[KEPT:]:
        if old != keep and not _in_use(old):
            shutil.rmtree(old)


def _in_use(folder: Path) -> bool:
    for link in Path("/proc").glob("[0-9]*/exe"):
        with contextlib.suppress(OSError):
            if link.readlink().is_relative_to(folder):
                return True
    return False
