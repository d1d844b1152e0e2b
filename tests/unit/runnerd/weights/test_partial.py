"""A file that comes in pieces: what is written is hashed, whoever gives up meanwhile."""

import asyncio
import hashlib
import threading
from pathlib import Path

from runnerd.weights.partial import PartialFile
from tests.support.scripted_runner import eventually

DATA = bytes(range(256)) * 4


async def test_a_writer_that_gives_up_takes_nothing_out_of_the_hash(tmp_path: Path) -> None:
    """Its bytes are written, and wait to be hashed while it is cancelled."""
    gate = threading.Event()
    async with PartialFile(tmp_path / "p", "m.gguf", len(DATA)) as partial:
        await partial.recover()
        partial._trail._thread.submit(gate.wait, 30)
        writer = asyncio.create_task(partial.write(DATA, 0))
        await eventually(lambda: partial.size == len(DATA))
        # The loop comes to know of it a turn later.
        await asyncio.wait({writer}, timeout=0.05)
        writer.cancel()
        await asyncio.wait({writer})
        assert writer.cancelled()
        gate.set()
        assert await partial.finish() == hashlib.sha256(DATA).hexdigest()
