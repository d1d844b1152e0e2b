"""The registry that most others are made of: distribution's, built from its Go module."""

import hashlib
import os
from pathlib import Path
from typing import Final

from tests.cluster.commands import run
from tests.cluster.go_programs import BUILD_ENVIRONMENT, go_environment
from tests.cluster.locks import locked
from tests.cluster.progress import Progress
from tests.cluster.settings import cache_folder

_MODULE: Final = Path(__file__).resolve().parent / "registry"
_PACKAGE: Final = "github.com/distribution/distribution/v3/cmd/registry"
# Never without -trimpath: it is part of every key of Go's build cache.
_BUILD: Final = ("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o")


def ensure_registry(progress: Progress | None = None) -> Path:
    """The program, built once per version and kept in `cache_folder()/registry`.

    Raises:
        ClusterError: Go is missing or too old, or the build failed; the message says which.
    """
    progress = progress or Progress()
    folder = cache_folder() / "registry"
    program = folder / f"registry-{_key()}"
    if program.exists():
        return program
    with locked(folder / "lock", what="building the registry", progress=progress):
        if not program.exists():  # by the process we waited for
            partial = program.with_suffix(".partial")
            with progress.during("building the test registry once, about 3 minutes on 2 cores"):
                command = [*_BUILD, os.fspath(partial), _PACKAGE]
                run(*command, folder=_MODULE, environment=BUILD_ENVIRONMENT, timeout=None)
            partial.rename(program)
    return program


def _key() -> str:
    go = go_environment()
    digest = hashlib.sha256(f"{go['GOVERSION']} {go['GOARCH']} {_BUILD}\n".encode())
    for name in ("go.mod", "go.sum"):
        digest.update((_MODULE / name).read_bytes())
    return digest.hexdigest()[:16]
