"""Builds that are kept, found and removed."""

import os
from pathlib import Path

import pytest

from tests.cluster import build as builds


def finished(folder: Path, name: str, age: int) -> Path:
    """A build that ended `age` seconds ago."""
    (folder / name / "bin").mkdir(parents=True)
    os.utime(folder / name, (1_000_000 - age, 1_000_000 - age))
    return folder / name


def test_newest_is_the_last_finished_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupted build is never taken for a finished one."""
    monkeypatch.setenv("MODEL_RUNNER_CACHE", str(tmp_path))
    assert builds.newest() is None
    folder = tmp_path / "cluster"
    finished(folder, "aaaa", 20)
    wanted = finished(folder, "bbbb", 10)
    finished(folder, "cccc.partial", 0)
    found = builds.newest()
    assert found
    assert found.folder == wanted


def test_pruning_keeps_the_newest_two(tmp_path: Path) -> None:
    """Each build is half a gigabyte; the one in use before the last change stays at hand."""
    for name, age in (("a", 40), ("b", 30), ("c", 20), ("d", 10)):
        finished(tmp_path, name, age)
    builds._prune(tmp_path, keep=tmp_path / "d")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["c", "d"]


def test_pruning_keeps_a_build_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A running cluster does not lose its programs."""
    for name, age in (("a", 40), ("b", 30), ("c", 20)):
        finished(tmp_path, name, age)
    monkeypatch.setattr(builds, "_in_use", lambda folder: folder.name == "a")
    builds._prune(tmp_path, keep=tmp_path / "c")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a", "b", "c"]


def test_progress_counts_packages_and_keeps_complaints() -> None:
    """The line tells how far it is; what the compiler says against the code is kept."""
    counter = builds._Counter(10)
    assert counter.shown() == "looking for what changed"
    counter.read(
        ["go: downloading a v1\n", "fmt\n", "net/http\n", "# example\n", "./main.go:3:1: syntax\n"]
    )
    assert counter.shown() == "1 modules fetched, 2 of about 10 packages"
    assert counter.others == ["# example", "./main.go:3:1: syntax"]
