"""Programs run to their end."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster.errors import ClusterError


def run(
    *command: str | Path,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float | None = 120,
    text: str | None = None,
) -> str:
    """Run a program and return its standard output.

    Raises:
        ClusterError: it is missing, failed or took longer than `timeout` seconds; the message
            holds the end of its standard error.
    """
    words = [str(part) for part in command]
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            env=None if environment is None else {**os.environ, **environment},
            timeout=timeout,
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            check=False,
            text=True,
        )
    except FileNotFoundError as error:
        raise ClusterError(f"{words[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{shown(words)} did not end within {timeout} s") from error
    if done.returncode != 0:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-15:])
        raise ClusterError(f"{shown(words)} failed with status {done.returncode}:\n{last}")
    return done.stdout


def succeeds(*command: str | Path, timeout: float = 10) -> bool:
    """Whether a program is there, ends in time and returns 0."""
    try:
        run(*command, timeout=timeout)
    except ClusterError:
        return False
    return True


def shown(words: Sequence[str]) -> str:
    """A command as a person would write it, shortened."""
    line = " ".join(Path(words[0]).name if i == 0 else word for i, word in enumerate(words))
    return line if len(line) <= 160 else line[:157] + "..."
