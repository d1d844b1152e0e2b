"""Peers from the package index: each in a virtual environment of its own, below the cache."""

import hashlib
import re
import shutil
import sys
from pathlib import Path
from typing import Final

from tests.cluster.commands import run
from tests.cluster.errors import ClusterError
from tests.cluster.locks import locked
from tests.cluster.progress import Progress
from tests.cluster.settings import ROOT, cache_folder

_READY: Final = ".installed"
_MINUTES: Final = 15


def environment(peer: str, progress: Progress) -> Path:
    """The folder `bin` of an environment with exactly requirements/peer-NAME.txt in it.

    Raises:
        ClusterError: pip could not install that; the message says what is missing.
    """
    pins = ROOT / "requirements" / f"peer-{peer}.txt"
    key = hashlib.sha256(f"{sys.version} {sys.executable}\n".encode() + pins.read_bytes())
    root = cache_folder() / "peers"
    folder = root / f"{peer}-{key.hexdigest()[:12]}"
    with locked(root / f"{peer}.lock", what=f"installing {peer}", progress=progress):
        # Scripts hold the folder's name, so it is filled in its place and marked when it is whole.
        if not (folder / _READY).exists():
            shutil.rmtree(folder, ignore_errors=True)
            with progress.during(f"installing {peer} from requirements/{pins.name}"):
                _fill(folder, pins, peer)
            (folder / _READY).touch()
    return folder / "bin"


def _fill(folder: Path, pins: Path, peer: str) -> None:
    run(sys.executable, "-m", "venv", folder)
    words = ("--quiet", "--disable-pip-version-check", "--require-hashes", "--only-binary=:all:")
    command = (folder / "bin/pip", "install", *words, "--requirement", pins)
    try:
        run(*command, timeout=_MINUTES * 60)
    except ClusterError as error:
        raise ClusterError(f"{peer} cannot be installed from the package index: {error}") from error


def pinned_version(peer: str, project: str) -> str:
    """The version of `project` in requirements/peer-NAME.txt."""
    text = (ROOT / "requirements" / f"peer-{peer}.txt").read_text("utf-8")
    found = re.search(rf"^{re.escape(project)}==(\S+)", text, re.MULTILINE)
    if found is None:
        raise ClusterError(f"requirements/peer-{peer}.txt does not pin {project}")
    return found[1]
