"""Processes that hang, as a test wants them."""

import os
import signal
from pathlib import Path

from tests.cluster.waiting import wait_until


def freeze(pid: int) -> None:
    """Stop a process, and return when all its threads stand still: the signal alone is early."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(f"process {pid} stands still", lambda: stands_still(pid), seconds=120, interval=0.01)


def stands_still(pid: int) -> bool:
    """Whether all threads of a process are stopped."""
    try:
        stats = [(task / "stat").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    except FileNotFoundError:
        # A thread ended between the two looks.
        return False
    return all(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)
