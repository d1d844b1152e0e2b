"""Helm: the one that was built for the test cluster, else the user's own."""

import shutil
import subprocess
from pathlib import Path

from tests.cluster import build


class HelmError(Exception):
    """Helm is missing or refused; the message holds its words."""


def find() -> Path:
    """Path of Helm 3 or 4.

    Raises:
        HelmError: there is none.
    """
    newest = build.newest()
    if newest and (newest.programs / "helm").exists():
        return newest.programs / "helm"
    if found := shutil.which("helm"):
        return Path(found)
    raise HelmError("helm is neither built nor installed: make tools")


def helm(*words: str | Path) -> str:
    """What Helm prints, run where no cluster and no setting of the user can be reached.

    Raises:
        HelmError: it returned an error.
    """
    command = [str(find()), *map(str, words)]
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "KUBECONFIG": "/nonexistent"}
    done = subprocess.run(  # noqa: S603 - a list of words, no shell, and all of them ours
        command, capture_output=True, text=True, check=False, timeout=60, env=environment
    )
    if done.returncode != 0:
        raise HelmError(done.stderr.strip() or done.stdout.strip())
    return done.stdout
