"""Locks between processes."""

import io
import threading
from pathlib import Path

from tests.cluster.locks import locked, try_lock
from tests.cluster.progress import Progress
from tests.cluster.waiting import wait_until


def test_a_lock_is_taken_once(tmp_path: Path) -> None:
    """The second taker gets nothing until the first lets go."""
    first = try_lock(tmp_path / "lock")
    assert first
    assert try_lock(tmp_path / "lock") is None
    first.close()
    second = try_lock(tmp_path / "lock")
    assert second
    second.close()


def test_waiting_is_told(tmp_path: Path) -> None:
    """Nobody looks at a silent terminal while another process builds."""
    first = try_lock(tmp_path / "lock")
    assert first
    told = io.StringIO()
    entered = threading.Event()

    def second() -> None:
        with locked(tmp_path / "lock", what="a build", progress=Progress(told, interval=0.01)):
            entered.set()

    thread = threading.Thread(target=second)
    thread.start()
    wait_until("it is told", lambda: "another process is busy with a build" in told.getvalue())
    assert not entered.is_set()
    first.close()
    thread.join(60)
    assert entered.is_set()


def test_a_lock_file_that_was_removed_does_not_count(tmp_path: Path) -> None:
    """`down` removes the lock's folder: who waited for that lock takes a new one."""
    file = tmp_path / "run/lock"
    first = try_lock(file)
    assert first
    entered = threading.Event()
    release = threading.Event()

    def second() -> None:
        with locked(file, what="a cluster", progress=Progress(io.StringIO())):
            entered.set()
            release.wait(60)

    thread = threading.Thread(target=second)
    thread.start()
    assert not entered.wait(0.05)
    file.unlink()
    file.parent.rmdir()
    first.close()
    assert entered.wait(60)
    assert try_lock(file) is None
    release.set()
    thread.join(60)
