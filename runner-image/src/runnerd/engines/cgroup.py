"""What the kernel allows this container, and whether it killed in it. Light to import.

Source: Linux `Documentation/admin-guide/cgroup-v2.rst` and `cgroup-v1/memory.rst`.
"""

import contextlib
import math
import os

_UNLIMITED = 1 << 60


class Cgroup:
    """The control groups of this process, version 1 or 2; everything is None where unknown."""

    def __init__(self, root: str = "/sys/fs/cgroup", table: str = "/proc/self/cgroup") -> None:
        self._root = root
        self._paths = _paths(_read(table) or "")

    def oom_kills(self) -> int | None:
        """How often the kernel killed a process here because the memory limit was reached."""
        for text in (self._find("", "memory.events"), self._find("memory", "memory.oom_control")):
            for line in (text or "").splitlines():
                name, _, value = line.partition(" ")
                if name == "oom_kill":
                    return int(value)
        return None

    def memory_limit(self) -> int | None:
        """Bytes; None without a limit."""
        for text in (self._find("", "memory.max"), self._find("memory", "memory.limit_in_bytes")):
            if text and text.strip().isdigit() and int(text) < _UNLIMITED:
                return int(text)
        return None

    def cpu_quota(self) -> int | None:
        """Whole processors that the CPU limit amounts to, rounded up; None without a limit."""
        words = (self._find("", "cpu.max") or "").split()
        if not words:
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            words = [(self._find("cpu", name) or "").strip() for name in names]
        if len(words) == 2 and all(word.isdigit() for word in words) and int(words[1]):
            return max(1, math.ceil(int(words[0]) / int(words[1])))
        return None

    def _find(self, controller: str, name: str) -> str | None:
        # In a container the group itself is mounted at the root; on a bare host it lies below.
        below = self._paths.get(controller, "/")
        folder = os.path.join(self._root, controller) if controller else self._root  # noqa: PTH118  # pathlib is slow to import
        return _read(f"{folder}{below.rstrip('/')}/{name}") or _read(f"{folder}/{name}")


def cpus(cgroup: Cgroup) -> tuple[int, bool]:
    """How many processors may be used, and whether that is fewer than a program sees."""
    seen = len(os.sched_getaffinity(0))
    quota = cgroup.cpu_quota()
    return (quota, True) if quota is not None and quota < seen else (seen, False)


def _paths(table: str) -> dict[str, str]:
    """Controller → path; "" is the unified hierarchy of version 2."""
    found: dict[str, str] = {}
    for line in table.splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3:
            found |= dict.fromkeys(parts[1].split(","), parts[2])
    return found


def _read(path: str) -> str | None:
    with contextlib.suppress(OSError), open(path, encoding="ascii", errors="replace") as file:  # noqa: PTH123  # pathlib is slow to import
        return file.read()
    return None
