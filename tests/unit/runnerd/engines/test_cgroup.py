"""Limits and kills from the control groups of both versions."""

from pathlib import Path

import pytest

from runnerd.engines.cgroup import Cgroup, cpus


def _write(folder: Path, files: dict[str, str]) -> Cgroup:
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="ascii")
    return Cgroup(str(folder), str(folder / "table"))


def test_version_2_in_a_container(tmp_path: Path) -> None:
    """The group is mounted at the root."""
    files = {"table": "0::/\n", "memory.events": "low 0\noom 3\noom_kill 2\n"}
    cgroup = _write(tmp_path, {**files, "memory.max": "1048576\n", "cpu.max": "150000 100000\n"})
    assert (cgroup.oom_kills(), cgroup.memory_limit(), cgroup.cpu_quota()) == (2, 1 << 20, 2)


def test_version_1_on_a_host(tmp_path: Path) -> None:
    """The group lies below its controller, by the table of the process."""
    files = {
        "table": "4:memory:/pod/a\n1:cpu,cpuacct:/pod/b\n",
        "memory/pod/a/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n",
        "memory/pod/a/memory.limit_in_bytes": "2048\n",
        "memory/memory.limit_in_bytes": "9\n",
        "cpu/pod/b/cpu.cfs_quota_us": "50000\n",
        "cpu/pod/b/cpu.cfs_period_us": "100000\n",
    }
    cgroup = _write(tmp_path, files)
    assert (cgroup.oom_kills(), cgroup.memory_limit(), cgroup.cpu_quota()) == (7, 2048, 1)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"memory.max": "max\n", "cpu.max": "max 100000\n"},
        {"memory/memory.limit_in_bytes": "9223372036854771712", "cpu/cpu.cfs_quota_us": "-1"},
    ],
)
def test_no_limits(tmp_path: Path, files: dict[str, str]) -> None:
    """No group, or no limit in it, is None."""
    cgroup = _write(tmp_path, files)
    assert (cgroup.oom_kills(), cgroup.memory_limit(), cgroup.cpu_quota()) == (None, None, None)
    count, limited = cpus(cgroup)
    assert count >= 1
    assert not limited


def test_quota_below_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quota counts only where it is less than the processors seen."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    assert cpus(_write(tmp_path, {"cpu.max": "200000 100000"})) == (2, True)
    assert cpus(_write(tmp_path, {"cpu.max": "6400000 100000"})) == (8, False)
