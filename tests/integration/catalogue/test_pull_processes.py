"""Pulls by processes: killed at any byte, two at once, and on a volume that is full."""

import asyncio
import json
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from runnerd.standalone.catalogue.catalogue import Catalogue
from tests.integration.catalogue import puller
from tests.integration.catalogue.conftest import FILES, MIB, PATIENCE, SIZE, reference_to
from tests.support.file_server import Fault, FileServer
from tests.support.memory_volume import memory_volume

WEIGHTS = FILES.layers[0][1]
BLOB = FILES.path(WEIGHTS)


@asynccontextmanager
async def _puller(
    root: Path, server: FileServer, prefix: tuple[str, ...] = ()
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that pulls; killed at the end of the block."""
    plain = {k: v for k, v in os.environ.items() if not k.upper().endswith("_PROXY")}
    process = await asyncio.create_subprocess_exec(
        *(*prefix, sys.executable, puller.__file__, str(root), reference_to(server)),
        env=plain,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _events(process: asyncio.subprocess.Process) -> list[dict[str, Any]]:
    """All that it tells, to its end."""
    out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    return [json.loads(line) for line in out.splitlines()]


async def _event(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """What it tells next."""
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
    found: dict[str, Any] = json.loads(line)
    return found


async def _told(process: asyncio.subprocess.Process, current: int) -> None:
    """Wait until it has so much of a layer."""
    while (await _event(process))["current"] < current:
        pass


def _assert_whole(root: Path, server: FileServer) -> None:
    stored = Catalogue(root).find(reference_to(server))
    assert stored is not None
    assert stored.weights.read_bytes() == WEIGHTS
    assert not list(root.glob("*.partial"))


async def test_kill_and_resume(tmp_path: Path, server: FileServer) -> None:
    """After kill -9 what has come is kept, and is no model; the next pull fetches the rest."""
    root = tmp_path / "models"
    server.by_path[BLOB] = Fault(hang_after=3 * MIB)
    async with _puller(root, server) as process:
        await _told(process, 3 * MIB)
        process.kill()
    assert Catalogue(root).models() == []
    server.by_path.clear()
    before = server.sent
    async with _puller(root, server) as process:
        assert (await _events(process))[-1]["message"] == "Model pulled successfully"
    assert server.sent - before < SIZE
    _assert_whole(root, server)


async def test_many_kills_at_random_moments(tmp_path: Path, server: FileServer) -> None:
    """Wherever they hit (resolving, downloading, publishing, naming), the end is one whole model."""
    root = tmp_path / "models"
    chance = random.Random(11)
    server.by_path[BLOB] = Fault(pace=16 * MIB)
    for _ in range(8):
        async with _puller(root, server) as process:
            waiting = asyncio.create_task(process.wait())
            await asyncio.wait({waiting}, timeout=chance.uniform(0.2, 1.2))
            if process.returncode is None:
                process.kill()
            await waiting
        for stored in Catalogue(root).models():
            assert stored.weights.read_bytes() == WEIGHTS
    server.by_path.clear()
    async with _puller(root, server) as process:
        assert (await _events(process))[-1]["kind"] == "success"
    _assert_whole(root, server)


async def test_two_processes_at_once(tmp_path: Path, server: FileServer) -> None:
    """One downloads, the other waits for it and says so; the weights come once, both succeed."""
    root = tmp_path / "models"
    server.by_path[BLOB] = Fault(hang_after=3 * MIB)
    async with _puller(root, server) as first, _puller(root, server) as second:
        waiters = [asyncio.create_task(_said(one, "another pull")) for one in (first, second)]
        done, pending = await asyncio.wait(
            waiters, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE
        )
        assert done
        for task in pending:
            task.cancel()
        server.by_path.clear()
        server.release.set()
        ends = await asyncio.gather(_events(first), _events(second))
    assert [events[-1]["kind"] for events in ends] == ["success", "success"]
    blobs = [request for request in server.requests if request.path == BLOB]
    # Two looks at the header, two parts of the weights, and what was under way when it was cut.
    assert sum(request.sent for request in blobs) <= 2 * (2 * MIB) + SIZE + MIB
    _assert_whole(root, server)


async def _said(process: asyncio.subprocess.Process, words: str) -> None:
    while words not in (await _event(process))["message"]:
        pass


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("size=3m", "need 4.01 MiB, "),
        ("size=8m,nr_inodes=3", "is too full"),
    ],
    ids=["too small", "no inodes"],
)
async def test_full_volume(tmp_path: Path, server: FileServer, options: str, says: str) -> None:
    """A volume that is too small is told with numbers; nothing is left that fills it."""
    root = tmp_path / "models"
    root.mkdir()
    async with memory_volume(root, options) as volume:
        async with _puller(root, server, volume.prefix) as process:
            last = (await _events(process))[-1]
        assert says in last["message"]
        assert not list(volume.path.glob("*.partial"))


async def test_volume_that_fills_up_and_is_freed(tmp_path: Path, server: FileServer) -> None:
    """No space in the middle of a pull is an error event; with space again it succeeds."""
    root = tmp_path / "models"
    root.mkdir()
    async with memory_volume(root, "size=8m") as volume:
        server.by_path[BLOB] = Fault(hang_after=3 * MIB)
        async with _puller(root, server, volume.prefix) as process:
            await _told(process, 3 * MIB)
            (volume.path / "other").write_bytes(bytes(5 * MIB - 65536))
            server.by_path.clear()
            server.release.set()
            last = (await _events(process))[-1]
        assert last["kind"] == "error"
        assert "too full" in last["message"]
        (volume.path / "other").unlink()
        async with _puller(root, server, volume.prefix) as process:
            assert (await _events(process))[-1]["kind"] == "success"


async def test_read_only_volume(tmp_path: Path, server: FileServer) -> None:
    """A volume that cannot be written refuses a pull in words."""
    root = tmp_path / "models"
    root.mkdir()
    async with (
        memory_volume(root, "ro,size=8m") as volume,
        _puller(root, server, volume.prefix) as process,
    ):
        (refused,) = await _events(process)
    assert (refused["kind"], refused["status"]) == ("refused", 500)
    assert "mounted read-only" in refused["message"]
