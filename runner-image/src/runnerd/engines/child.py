"""One engine process with its group. Light to import: it is started before all else."""

import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence


class Child:
    """A running program in a session of its own; `output` is the read end of its output."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it.

        Raises:
            OSError: the program cannot be executed.
        """
        self.output, theirs = os.pipe2(os.O_CLOEXEC)
        try:
            self.pid = os.posix_spawn(
                command[0],
                list(command),
                dict(environment),
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, theirs, 1),
                    (os.POSIX_SPAWN_DUP2, theirs, 2),
                ],
                setsid=True,
                # Python ignores these, and a program started by it would too.
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
                setsigmask=[],
            )
        except OSError:
            os.close(self.output)
            raise
        finally:
            os.close(theirs)
        self.started = time.monotonic()
        self.started_at = time.time()
        self.status: int | None = None
        self.killed = False

    def poll(self) -> int | None:
        """None while it runs; then its exit code, or minus the signal that ended it.

        What it left behind in its group is killed before its number can be given away.
        """
        if self.status is None:
            flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
            try:
                ended = os.waitid(os.P_PID, self.pid, flags)
            except ChildProcessError:
                # Somebody else took its status: it is gone, and how is not known.
                self.status = 255
                return self.status
            if ended is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, signal.SIGKILL)
                self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def send(self, number: signal.Signals) -> None:
        """Signal the whole group; nothing happens once it has ended."""
        if self.poll() is None:
            self.killed = self.killed or number == signal.SIGKILL
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)
