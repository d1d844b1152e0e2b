"""One process and its group."""

import os
import signal
from pathlib import Path

import pytest

from runnerd.engines.child import Child
from runnerd.engines.reaper import ended
from tests.support.scripted_runner import eventually


async def test_exit_code() -> None:
    """The status of a program that ends by itself, and its output."""
    child = Child(["/bin/sh", "-c", "echo out; echo err >&2; exit 3"], {})
    assert await ended(child) == 3
    assert os.read(child.output, 100) == b"out\nerr\n"
    assert os.read(child.output, 100) == b""
    os.close(child.output)
    assert await ended(child) == 3
    child.send(signal.SIGTERM)


async def test_signal_reaches_the_group() -> None:
    """A signal reaches what the program started; its status names the signal."""
    child = Child(["/bin/sh", "-c", "sleep 600 & echo $!; wait"], {"PATH": os.environ["PATH"]})
    grandchild = int(os.read(child.output, 100))
    child.send(signal.SIGKILL)
    assert await ended(child) == -signal.SIGKILL
    await eventually(lambda: _dead(grandchild))
    os.close(child.output)


async def test_signals_are_as_usual() -> None:
    """The program does not inherit Python's ignored SIGPIPE."""
    child = Child(["/bin/sh", "-c", "kill -PIPE $$; exit 0"], {})
    assert await ended(child) == -signal.SIGPIPE
    os.close(child.output)


def test_missing_program() -> None:
    """A program that is not there is an OSError, and no pipe is left open."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(FileNotFoundError):
        Child(["/nothing"], {})
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def _dead(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text(encoding="ascii").split()[2] == "Z"
