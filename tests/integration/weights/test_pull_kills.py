"""kill -9 of a pull after any byte: the next one goes on, and the file is right in the end."""

import asyncio
import os
import random
import re
import signal
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from modelrunner_protocol.codec import decode, encode
from modelrunner_protocol.wire import Artifact, HttpSource, Outcome, PullConfig, Source
from tests.integration.weights.commands import PATIENCE, Commands, assert_cached
from tests.integration.weights.oci_commands import serve, source
from tests.support.file_server import FileServer
from tests.support.forked_pulls import ForkedPulls, forked_pulls
from tests.support.gguf_files import model
from tests.support.oci_files import GGUF, OciFiles

KIB = 1 << 10
SIZE = 12 * KIB * KIB + 12345
PIECE = 64 * KIB
CONNECTIONS = 4
KILLS = 20
SEED = 20261122


@pytest.fixture(scope="module")
def weights() -> bytes:
    """Made once: random bytes take their time."""
    return model(SIZE)


@dataclass
class Victims:
    """Pulls of one artifact that are killed.

    Each has a server of its own: what a killed one asked for last, and a busy machine answers late,
    is not taken from what the next one shall get.
    """

    commands: Commands
    files: dict[str, bytes]
    artifact: Artifact
    pulls: ForkedPulls
    client: httpx.AsyncClient

    async def killed_after(self, count: int) -> None:
        """Give a pull so many bytes, and kill it once it has them."""
        async with FileServer(self.files).running() as server:
            server.most = count
            config = self._config(server)
            pid = await self.pulls.start(self._environment(config))
            await self._came(config.port, count)
            os.kill(pid, signal.SIGKILL)
            assert await self.pulls.ended() == -signal.SIGKILL
        assert not self.commands.folder.exists()

    async def spared(self) -> tuple[Outcome, int]:
        """Let a pull come to its end; and the bytes that it was given."""
        async with FileServer(self.files).running() as server:
            await self.pulls.start(self._environment(self._config(server)))
            assert await self.pulls.ended() == 0
            return decode(Outcome, self._termination_log.read_text()), server.given

    def _config(self, server: FileServer) -> PullConfig:
        config = self.commands.config(self.artifact)
        oci = config.source.oci
        if oci is None:
            return replace(config, source=Source(http=HttpSource(url=server.url())))
        path = oci.reference.partition("/")[2]
        return replace(config, source=source(f"127.0.0.1:{server.port}/{path}"))

    @property
    def _termination_log(self) -> Path:
        return self.commands.root.parent / "termination"

    async def _came(self, port: int, count: int) -> None:
        """Wait until a pull has got so many bytes."""
        said = re.compile(
            rf"^modelrunner_pull_downloaded_bytes_total{{.*}} {float(count)}$", re.MULTILINE
        )
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(httpx.TransportError):
                    found = await self.client.get(f"http://127.0.0.1:{port}/metrics")
                    if said.search(found.text):
                        return
                await asyncio.sleep(0.01)

    def _environment(self, config: PullConfig) -> dict[str, str]:
        return {
            "RUNNERD_PULL": encode(config),
            "RUNNERD_PULL_CONNECTIONS": str(CONNECTIONS),
            "TERMINATION_LOG": str(self._termination_log),
        }


@pytest.mark.parametrize("kind", ["http", "oci"])
async def test_kills_after_random_bytes(
    kind: str, server: FileServer, commands: Commands, weights: bytes
) -> None:
    """Twenty kills -9 over parallel ranges: nothing is published early, and nothing wrong at all.

    What may come twice is what was not noted yet: less than a piece.
    """
    chance = random.Random(SEED)
    server.files = {"/model.gguf": weights}
    if kind == "oci":
        serve(server, commands, OciFiles([(GGUF, weights, "")]))
    artifact = (await commands.resolve()).outcome.artifact
    assert artifact is not None
    counts = [chance.randint(1, SIZE // KILLS) for _ in range(KILLS)]
    print(f"seed {SEED}: killed after {counts} bytes")
    async with forked_pulls(PIECE) as pulls, httpx.AsyncClient(timeout=60) as client:
        victims = Victims(commands, server.files, artifact, pulls, client)
        for count in counts:
            await victims.killed_after(count)
        outcome, given = await victims.spared()
    assert_cached(commands, SIZE)
    assert outcome.downloaded_bytes == given
    twice = sum(counts) + given - SIZE
    print(f"came twice: {twice} of {sum(counts)} bytes")
    # All had come and was written when the kills came: the bound is one of bytes alone.
    assert 0 <= twice < KILLS * PIECE
