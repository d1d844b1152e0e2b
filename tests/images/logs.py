"""Programs whose words go to a log that can be read while they run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.cluster.commands import run

_SCRIPT: Final = 'log=$1; shift; "$@" >"$log" 2>&1 || { tail -n 25 "$log" >&2; exit 1; }'


def run_logged(
    log: Path, *words: str | Path, environment: Mapping[str, str], timeout: float
) -> None:
    """Run a program to its end, at most `timeout` seconds.

    Raises:
        ClusterError: it failed; the message holds the end of the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    run("sh", "-c", _SCRIPT, "sh", log, *words, environment=environment, timeout=timeout)


def last_line(log: Path) -> str:
    """The end of a log, shortened to a line of a terminal."""
    try:
        return log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1][:100]
    except (OSError, IndexError):
        return ""
