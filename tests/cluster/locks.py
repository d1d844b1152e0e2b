"""Locks between processes; the kernel drops them when their holder ends, however it ends."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.progress import Progress


@contextlib.contextmanager
def locked(file: Path, *, what: str, progress: Progress | None = None) -> Iterator[None]:
    """Hold the lock `file`; others wait (told through `progress`) until the block ends.

    Raises:
        ClusterError: somebody holds it and there is no `progress` to wait with.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if progress is None:
                raise ClusterError(f"{what} is being used by another process ({file})") from error
            with progress.during(f"waiting: another process is busy with {what}"):
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
