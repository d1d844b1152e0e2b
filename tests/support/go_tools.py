"""Programs that tests talk to, built from their Go modules: a registry, Docker's model tools.

Each has a folder here with its go.mod and go.sum, which pin it.
"""

import hashlib
import os
from enum import Enum
from pathlib import Path
from typing import Final

from tests.cluster.commands import run
from tests.cluster.go_programs import BUILD_ENVIRONMENT, go_environment
from tests.cluster.locks import locked
from tests.cluster.progress import Progress
from tests.cluster.settings import cache_folder

_HERE: Final = Path(__file__).resolve().parent
# Never without -trimpath: it is part of every key of Go's build cache.
_BUILD: Final = ("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o")


# Some ask for a newer Go than the machine has; Go gets that one as a module, too.
_ENVIRONMENT: Final = {**BUILD_ENVIRONMENT, "GOTOOLCHAIN": "auto"}


class Tool(Enum):
    """A program: the folder of its go.mod, and the package that is built."""

    REGISTRY = ("registry", "github.com/distribution/distribution/v3/cmd/registry")
    """The registry that most others are made of."""

    MDLTOOL = ("mdltool", "github.com/docker/model-runner/cmd/mdltool")
    """Packages, pushes and pulls with the code of Docker Model Runner."""

    VERSITYGW = ("versitygw", "github.com/versity/versitygw/cmd/versitygw")
    """An S3 server whose objects are files of a folder."""

    FAKE_GCS = ("fakegcs", "github.com/fsouza/fake-gcs-server")
    """A server with Google Cloud Storage's API."""

    DOCKER_MODEL = ("clients/docker-model", "github.com/docker/model-runner/cmd/cli")
    """Docker's command line for models: the plugin behind `docker model`."""

    UNBUNDLE = ("unbundle", ".")
    """Pulls, unpacks and pushes with the newest code of Docker Model Runner: a few lines of ours
    around its library, whose own tool knows no layer for each file."""

    @property
    def folder(self) -> Path:
        """Where its go.mod is."""
        return _HERE / self.value[0]

    @property
    def package(self) -> str:
        """What is built."""
        return self.value[1]

    @property
    def program(self) -> str:
        """Its name."""
        return self.folder.name


def ensure(tool: Tool, progress: Progress | None = None) -> Path:
    """The program, built once per version and kept in the cache folder.

    Raises:
        ClusterError: Go is missing or too old, or the build failed; the message says which.
    """
    progress = progress or Progress()
    folder = cache_folder() / "go-tools"
    program = folder / f"{tool.program}-{_key(tool)}"
    if program.exists():
        return program
    with locked(folder / "lock", what=f"building {tool.program}", progress=progress):
        if not program.exists():  # by the process we waited for
            partial = program.with_suffix(".partial")
            with progress.during(f"building {tool.program} once, 2 or 3 minutes on 2 cores"):
                command = [*_BUILD, os.fspath(partial), tool.package]
                run(*command, folder=tool.folder, environment=_ENVIRONMENT, timeout=None)
            partial.rename(program)
    return program


def _key(tool: Tool) -> str:
    go = go_environment()
    digest = hashlib.sha256(f"{go['GOVERSION']} {go['GOARCH']} {_BUILD}\n".encode())
    for path in (tool.folder / "go.mod", tool.folder / "go.sum", *sorted(tool.folder.glob("*.go"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
