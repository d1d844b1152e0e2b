"""Processor time and memory of processes, from /proc."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_TICK: Final = os.sysconf("SC_CLK_TCK")
_PROC: Final = Path("/proc")


def cpu_seconds(session: int) -> float:
    """User and system time of a session's processes so far; threads that ended are counted."""
    return sum(ticks(stat) for _, stat in _members(session)) / _TICK


def busy_seconds(pid: int) -> float:
    """Time that one process has run so far; threads that ended are left out.

    To the microsecond while it sleeps, else to the last clock tick.
    """
    total = 0
    for task in Path(_PROC / str(pid) / "task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += int((task / "schedstat").read_text("ascii").split()[0])
    return total / 1e9


def resident_mib(pid: int) -> tuple[float, float]:
    """Memory of one process: all that it uses, and with the share only of what others use, too."""
    text = (_PROC / str(pid) / "smaps_rollup").read_text("ascii")
    whole = text.partition("\nRss:")[2].split()[0]
    return int(whole) / 1024, proportional(text) / 1024


def memory_mib(session: int) -> float:
    """Memory of a session's processes; what several share is counted once (PSS)."""
    total = 0
    for pid, _ in _members(session):
        with contextlib.suppress(OSError):
            total += proportional(Path(_PROC / pid / "smaps_rollup").read_text("ascii"))
    return total / 1024


def ticks(stat: str) -> int:
    """User and system time in clock ticks out of the text of /proc/PID/stat."""
    fields = _after_name(stat)
    return int(fields[11]) + int(fields[12])


def proportional(rollup: str) -> int:
    """KiB of proportional set size out of the text of /proc/PID/smaps_rollup; 0 for a zombie."""
    found = rollup.partition("\nPss:")[2].split()
    return int(found[0]) if found else 0


def _members(session: int) -> Iterator[tuple[str, str]]:
    for entry in os.listdir(_PROC):  # noqa: PTH208 - a path object per process costs more than the rest
        if entry.isdigit():
            with contextlib.suppress(OSError):
                stat = (_PROC / entry / "stat").read_text("utf-8", "replace")
                if int(_after_name(stat)[3]) == session:
                    yield entry, stat


def _after_name(stat: str) -> list[str]:
    # The program's name may hold blanks and parentheses.
    return stat.rpartition(")")[2].split()
