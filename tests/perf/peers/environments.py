"""Peers from the package index: each in a virtual environment of its own, below the cache."""

import re
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.progress import Progress
from tests.cluster.settings import ROOT, cache_folder
from tests.support.python_environments import python_environment


def environment(peer: str, progress: Progress) -> Path:
    """The folder `bin` of an environment with exactly requirements/peer-NAME.txt in it.

    Raises:
        ClusterError: pip could not install that; the message says what is missing.
    """
    pins = ROOT / "requirements" / f"peer-{peer}.txt"
    return python_environment(pins, cache_folder() / "peers", peer, progress) / "bin"


def pinned_version(peer: str, project: str) -> str:
    """The version of `project` in requirements/peer-NAME.txt."""
    text = (ROOT / "requirements" / f"peer-{peer}.txt").read_text("utf-8")
    found = re.search(rf"^{re.escape(project)}==(\S+)", text, re.MULTILINE)
    if found is None:
        raise ClusterError(f"requirements/peer-{peer}.txt does not pin {project}")
    return found[1]
