"""A file server, a cache and the real commands."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.weights.commands import Commands
from tests.support.engine import engine
from tests.support.file_server import FileServer
from tests.support.gguf_files import model

__all__ = ["MIB", "SIZE", "commands", "engine", "server"]

MIB = 1 << 20
SIZE = 4 * MIB + 12345


@pytest.fixture
async def server() -> AsyncIterator[FileServer]:
    """Serves one model of a bit more than 4 MiB."""
    async with FileServer({"/model.gguf": model(SIZE)}).running() as running:
        yield running


@pytest.fixture
async def commands(server: FileServer, tmp_path: Path) -> AsyncIterator[Commands]:
    """Runs `runnerd resolve` and `runnerd pull` for that model."""
    commands = Commands(tmp_path / "cache", server.url())
    commands.root.mkdir()
    yield commands
    await commands.end()
