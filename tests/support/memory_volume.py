"""A small memory file system in a mount namespace of its own: a volume that can be full."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

# Whoever is not root becomes root of a user namespace first.
_UNSHARE = ("unshare", "-m") if os.geteuid() == 0 else ("unshare", "-Urm")
_ENTER = ("-m",) if os.geteuid() == 0 else ("-m", "-U", "--preserve-credentials")


@dataclass(frozen=True)
class MemoryVolume:
    """A volume that only some processes see under its own name.

    Attributes:
        prefix: The beginning of a command line that runs a program where the volume is mounted.
        path: Under which everybody else sees it.
    """

    prefix: tuple[str, ...]
    path: Path


@asynccontextmanager
async def memory_volume(folder: Path, options: str) -> AsyncIterator[MemoryVolume]:
    """Mount one over a folder while the block runs; `options` as `mount -o` takes them."""
    script = 'mount -t tmpfs -o "$1" cache "$0" && echo mounted && exec cat'
    holder = await asyncio.create_subprocess_exec(
        *(*_UNSHARE, "sh", "-c", script, str(folder), options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert holder.stdout is not None
    try:
        assert await holder.stdout.readline() == b"mounted\n"
        prefix = ("nsenter", "-t", str(holder.pid), *_ENTER, "--")
        yield MemoryVolume(prefix, Path(f"/proc/{holder.pid}/root{folder}"))
    finally:
        # An input, be it empty, is what closes the pipe and so ends the holder.
        await holder.communicate(b"")
