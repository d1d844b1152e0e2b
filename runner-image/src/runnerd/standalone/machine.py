"""What the machine has for engines."""

import re
from pathlib import Path
from typing import Final

from runnerd.engines.cgroup import Cgroup, cpus

MOST_SLOTS: Final = 8
_SHARE: Final = 0.9
_AVAILABLE: Final = re.compile(r"^MemAvailable:\s+([0-9]+) kB$", re.MULTILINE)
_DEVICES: Final = ("/dev/nvidiactl", "/dev/kfd")


def engine_slots(cgroup: Cgroup) -> int:
    """Engines at once: one for each processor, at most 8, as Docker Model Runner has it."""
    return min(cpus(cgroup)[0], MOST_SLOTS)


def memory_budget(cgroup: Cgroup, table: Path = Path("/proc/meminfo")) -> int | None:
    """Bytes that engines may take together: nine tenths of what is free here, None if unknown."""
    found = _AVAILABLE.search(_text(table))
    known = [int(found[1]) * 1024] if found else []
    if (limit := cgroup.memory_limit()) is not None:
        known.append(limit)
    return int(min(known) * _SHARE) if known else None


def has_own_memory() -> bool:
    """Whether there is a device with memory of its own: how much of it is free is not known."""
    return any(Path(path).exists() for path in _DEVICES)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
