"""Processes are known by more than their number."""

import dataclasses
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import processes
from tests.cluster.errors import ClusterError
from tests.cluster.processes import MARK, Identity, Processes
from tests.cluster.waiting import wait_until


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Processes]:
    """Processes of a folder, ended after the test."""
    group = Processes(tmp_path)
    yield group
    group.stop_all()


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is not ours."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_identity_survives_being_written_down(tmp_path: Path) -> None:
    """What is read back is the same process."""
    identity = Identity.of_self()
    identity.save(tmp_path / "pids/self")
    assert Identity.load(tmp_path / "pids/self") == identity
    assert identity.alive


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', "12 34"])
def test_a_file_cut_short_is_nobody(tmp_path: Path, content: str) -> None:
    """A half-written file never leads to a signal."""
    (tmp_path / "pid").write_text(content)
    assert Identity.load(tmp_path / "pid") is None
    assert Identity.load(tmp_path / "missing") is None


@pytest.mark.parametrize("change", [{"started": 1}, {"boot": "another"}])
def test_a_recycled_number_is_never_killed(
    stranger: subprocess.Popen[bytes], change: dict[str, object]
) -> None:
    """The number is a stranger's by now: another start time, or another boot."""
    identity = Identity.of(stranger.pid)
    assert identity
    before = dataclasses.replace(identity, **change)  # type: ignore[arg-type]  # two types of field
    assert not before.alive
    before.stop(grace=0)
    assert stranger.poll() is None


def test_a_name_with_brackets_does_not_hide_the_start_time(tmp_path: Path) -> None:
    """The kernel writes a program's name unquoted into the middle of the line."""
    program = tmp_path / "a) S 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "60"]) as process:
        wait_until("exec", lambda: b"sleep" not in Path(f"/proc/{process.pid}/comm").read_bytes())
        identity = Identity.of(process.pid)
        mine = Identity.of_self()
        process.kill()
    assert identity
    assert identity.started >= mine.started


def test_a_corpse_is_not_alive() -> None:
    """A process that ended counts as ended before anybody asked for its status."""
    with subprocess.Popen(["true"]) as process:
        wait_until("its end", lambda: Identity.of(process.pid) is None)


def test_stop_asks_first_and_then_insists(running: Processes) -> None:
    """A process that ignores the request is killed after the grace time."""
    script = 'trap "" TERM; echo trapped; while :; do sleep 60; done'
    identity = running.start("stubborn", "sh", "-c", script)
    wait_until("trap", lambda: "trapped" in running.last_lines("stubborn"))
    running.stop("stubborn", grace=0.1)
    assert not identity.alive
    assert not running.alive("stubborn")


def test_stopping_twice_or_nothing_is_fine(running: Processes) -> None:
    """`down` can be repeated."""
    running.start("one", "sleep", "60")
    for _ in range(2):
        running.stop("one")
        running.stop("never started")


def test_a_process_that_was_not_written_down_is_found_by_its_mark(running: Processes) -> None:
    """Killed between start and record, `up` still leaves nothing that `down` cannot find."""
    identity = running.start("lost", "sleep", "60")
    (running.folder / "pids/lost").unlink()
    assert identity in list(processes.marked(running.folder))
    Processes(running.folder).stop_all()
    assert not identity.alive


def test_the_mark_names_one_folder(running: Processes, tmp_path: Path) -> None:
    """Another cluster, whose folder merely starts alike, is left alone."""
    identity = running.start("ours", "sleep", "60")
    for other in (tmp_path.parent, tmp_path / "cluster", Path(f"{tmp_path}2")):
        assert identity not in list(processes.marked(other))


def test_a_process_gets_a_small_environment(
    running: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy of the user's shell must not steer a node's traffic."""
    monkeypatch.setenv("HTTPS_PROXY", "http://192.0.2.1")
    running.start("printer", "env", path=[Path("/programs")])
    wait_until("its output", lambda: MARK in running.last_lines("printer"))
    lines = running.last_lines("printer")
    assert "HTTPS_PROXY" not in lines
    assert "PATH=/programs:" in lines


def test_an_end_is_told_with_the_last_log_lines(running: Processes) -> None:
    """The reason stands in the error, not only in a file."""
    running.start("failing", "sh", "-c", "echo no etcd here >&2; sleep 0.1; exit 3")
    wait_until("its end", lambda: not running.alive("failing"))
    with pytest.raises(ClusterError, match="failing ended by itself:\nno etcd here"):
        running.require("failing")


def test_memory_is_told_in_bytes() -> None:
    """A Python process is larger than a megabyte and smaller than the machine."""
    assert 1_000_000 < processes.memory(Identity.of_self()) < os.sysconf("SC_PAGE_SIZE") << 30
