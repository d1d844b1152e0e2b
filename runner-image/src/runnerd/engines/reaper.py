"""The ends of processes: waiting for the engine's, and burying the orphans PID 1 inherits."""

import asyncio
import os
from collections.abc import Callable

from runnerd.engines.child import Child


async def ended(child: Child) -> int:
    """The status of a child (see `Child.poll`), as soon as it has ended."""
    if (status := child.poll()) is not None:
        return status
    loop = asyncio.get_running_loop()
    handle = os.pidfd_open(child.pid)
    over: asyncio.Future[None] = loop.create_future()
    try:
        loop.add_reader(handle, _resolve, over)
        await over
    finally:
        loop.remove_reader(handle)
        os.close(handle)
    status = child.poll()
    if status is None:
        raise AssertionError("a readable pidfd means that the process has ended")
    return status


def reap_orphans(claim: Callable[[int], bool]) -> int:
    """Take the status of every dead process that `claim` does not want; returns how many.

    `claim(pid)` says whether the process is the engine, and if so takes its status itself.
    """
    count = 0
    while True:
        try:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return count
        if dead is None:
            return count
        if not claim(dead.si_pid):
            os.waitpid(dead.si_pid, 0)
            count += 1


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
