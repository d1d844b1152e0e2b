"""Programs of the package index, each set of them in a virtual environment of its own."""

import hashlib
import shutil
import sys
from pathlib import Path
from typing import Final

from tests.cluster.commands import run
from tests.cluster.errors import ClusterError
from tests.cluster.locks import locked
from tests.cluster.progress import Progress

_READY: Final = ".installed"
_MINUTES: Final = 15


def python_environment(pins: Path, root: Path, name: str, progress: Progress) -> Path:
    """The folder of an environment below `root` with exactly what `pins` lists in it.

    Args:
        pins: a requirements file with hashes.
        root: where environments are kept; named after their inputs, so changed pins make another.
        name: what to call it, in file names and in what is told to the user.
        progress: where to say so.

    Raises:
        ClusterError: pip could not install that; the message says what is missing.
    """
    # Not its executable, which goes by several names.
    key = hashlib.sha256(f"{sys.version} {sys.base_prefix}\n".encode() + pins.read_bytes())
    folder = root / f"{name}-{key.hexdigest()[:12]}"
    if (folder / _READY).exists():
        return folder
    with locked(root / f"{name}.lock", what=f"installing {name}", progress=progress):
        # Scripts hold the folder's name, so it is filled in its place and marked when it is whole.
        if not (folder / _READY).exists():
            shutil.rmtree(folder, ignore_errors=True)
            with progress.during(f"installing {name} from requirements/{pins.name}"):
                _fill(folder, pins, name)
            (folder / _READY).touch()
    return folder


def _fill(folder: Path, pins: Path, name: str) -> None:
    run(sys.executable, "-m", "venv", folder)
    words = ("--quiet", "--disable-pip-version-check", "--require-hashes", "--only-binary=:all:")
    command = (folder / "bin/pip", "install", *words, "--requirement", pins)
    try:
        run(*command, timeout=_MINUTES * 60)
    except ClusterError as error:
        raise ClusterError(f"{name} cannot be installed from the package index: {error}") from error
