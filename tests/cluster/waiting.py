"""Waiting for a condition."""

import threading
import time
from collections.abc import Callable

from tests.cluster.errors import ClusterError


def wait_until(
    what: str,
    condition: Callable[[], bool],
    *,
    seconds: float = 60,
    interval: float = 0.05,
    hint: str = "",
) -> None:
    """Ask `condition` every `interval` seconds until it says yes.

    Raises:
        ClusterError: it did not within `seconds`; `hint` says where to look.
    """
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ClusterError(f"{what}: not there after {seconds:.0f} s. {hint}".rstrip())
        pause.wait(interval)
