"""What the machine has."""

from pathlib import Path

from runnerd.engines.cgroup import Cgroup
from runnerd.standalone.machine import MOST_SLOTS, engine_slots, memory_budget


def _cgroup(folder: Path, limit: str) -> Cgroup:
    (folder / "memory.max").write_text(limit)
    (folder / "table").write_text("0::/\n")
    return Cgroup(str(folder), str(folder / "table"))


def test_budget(tmp_path: Path) -> None:
    """Nine tenths of what is free, or of the container's limit if that is less."""
    table = tmp_path / "meminfo"
    table.write_text("MemTotal:       16000000 kB\nMemAvailable:    8000000 kB\n")
    assert memory_budget(_cgroup(tmp_path, "max"), table) == int(8000000 * 1024 * 0.9)
    assert memory_budget(_cgroup(tmp_path, "1000000000"), table) == 900000000
    assert memory_budget(_cgroup(tmp_path, "1000"), tmp_path / "absent") == 900


def test_unknown(tmp_path: Path) -> None:
    """Where nobody says what there is, there is no bound."""
    assert memory_budget(_cgroup(tmp_path, "max"), tmp_path / "absent") is None


def test_slots(tmp_path: Path) -> None:
    """At least one engine, at most eight."""
    assert 1 <= engine_slots(_cgroup(tmp_path, "max")) <= MOST_SLOTS
