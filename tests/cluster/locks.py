"""Locks between processes; the kernel drops them when their holder ends, however it ends."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tests.cluster.progress import Progress


@contextlib.contextmanager
def locked(file: Path, *, what: str, progress: Progress) -> Iterator[None]:
    """Hold the lock `file` during the block; wait for it, and tell that, while others hold it."""
    handle = try_lock(file)
    if handle is None:
        with progress.during(f"waiting: another process is busy with {what}"):
            while handle is None:
                handle = _lock(file, fcntl.LOCK_EX)
    with handle:
        yield


def try_lock(file: Path) -> IO[str] | None:
    """Take the lock `file`, which holds until the result is closed; None when it is taken."""
    return _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _lock(file: Path, operation: int) -> IO[str] | None:
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = file.open("a", encoding="utf-8")
    try:
        fcntl.flock(handle, operation)
        # Its last holder may have removed the file, and then this lock is nobody else's.
        if os.path.samestat(os.fstat(handle.fileno()), file.stat()):
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    handle.close()
    return None
