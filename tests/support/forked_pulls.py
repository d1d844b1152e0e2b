"""`runnerd pull` in forks of a process that has imported it: a start costs milliseconds.

    python -m tests.support.forked_pulls PIECE

Each line of the input is a JSON object of environment variables; the answers are a line with the
pull's process id at its start, and one with its exit code at its end. PIECE is how many bytes that
came out of order may be downloaded again, so that a small file has many.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from runnerd.weights import cli, download, partial, parts

_PATIENCE: Final = 180


@dataclass(frozen=True)
class ForkedPulls:
    """Starts pulls one after the other."""

    process: asyncio.subprocess.Process

    async def start(self, environment: Mapping[str, str]) -> int:
        """Start a pull; its process id, once it runs."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(dict(environment)).encode() + b"\n")
        return await self._number()

    async def ended(self) -> int:
        """Wait for its end: its exit code, or the negative number of a signal."""
        return await self._number()

    async def _number(self) -> int:
        assert self.process.stdout is not None
        return int(await asyncio.wait_for(self.process.stdout.readline(), _PATIENCE))


@asynccontextmanager
async def forked_pulls(piece: int) -> AsyncIterator[ForkedPulls]:
    """Ready for pulls while the block runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.forked_pulls", str(piece)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield ForkedPulls(process)
    except BaseException:
        # A pull that waits for its server would be waited for.
        os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        # An input that ends is what ends it.
        await process.communicate(b"")


def _pull(environment: Mapping[str, str]) -> int:
    os.environ.update(environment)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    return cli.pull()


def main(piece: int) -> None:
    """Fork for each line of the input."""
    for module in (download, parts, partial):
        # With the real size a file would have to be gigabytes.
        vars(module)["PIECE"] = piece
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                code = _pull(json.loads(line))
            finally:
                os._exit(code)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
