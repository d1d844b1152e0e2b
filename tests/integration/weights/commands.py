"""Runs `runnerd resolve` and `runnerd pull` as a Job does: environment in, outcome out."""

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from modelrunner_protocol.codec import decode, encode
from modelrunner_protocol.wire import (
    Artifact,
    Credentials,
    HttpSource,
    Outcome,
    Progress,
    PullConfig,
    Source,
    WeightsFile,
)
from tests.support.gguf_files import model
from tests.support.ports import free_port

KEY = "0123456789abcdef"
PATIENCE = 180.0

CRAWL = "16Ki"
"""Bytes a second: what is as large as our model does not come to its end while a test has patience."""


async def until(condition: Callable[[], bool], *, pause: float = 0.01) -> None:
    """Wait for a condition of the file system, which has nothing to wait on."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(pause)


@dataclass
class Ended:
    """How a command ended."""

    code: int
    outcome: Outcome
    log: str


@dataclass
class Running:
    """A command at work."""

    process: asyncio.subprocess.Process
    port: int
    termination_log: Path

    async def ended(self) -> Ended:
        """Wait for its end; its termination message."""
        _, log = await asyncio.wait_for(self.process.communicate(), PATIENCE)
        text = self.termination_log.read_text() if self.termination_log.exists() else "{}"
        assert self.process.returncode is not None
        return Ended(self.process.returncode, decode(Outcome, text), (log or b"").decode())

    async def get(self, path: str) -> httpx.Response:
        """Ask its HTTP server, once it listens."""
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", timeout=60
        ) as client:
            while True:
                assert self.process.returncode is None
                try:
                    return await client.get(path)
                except httpx.ConnectError:
                    await asyncio.sleep(0.02)

    async def progress(self) -> Progress:
        """What it tells the operator."""
        return decode(Progress, (await self.get("/progress")).text)

    async def counted(self, count: int) -> Progress:
        """Wait until it tells of so many bytes; what it tells then."""
        async with asyncio.timeout(PATIENCE):
            while (found := await self.progress()).completed_bytes < count:  # noqa: ASYNC110 - it is asked
                await asyncio.sleep(0.05)
        return found

    async def measured(self) -> None:
        """Wait until it knows how fast the download is."""
        async with asyncio.timeout(PATIENCE):
            while (await self.progress()).bytes_per_second is None:  # noqa: ASYNC110 - it is asked
                await asyncio.sleep(0.05)


@dataclass
class Commands:
    """The commands for one source and one cache.

    Attributes:
        source: Instead of the file at `url`.
        credentials: What the Job would mount.
        prefix: Command line in front of the commands' own.
        environment: More variables.
    """

    root: Path
    url: str
    sha256: str = ""
    key: str = KEY
    source: Source | None = None
    credentials: Credentials | None = None
    prefix: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    _started: list[asyncio.subprocess.Process] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where the artifact is published."""
        return self.root / self.key

    @property
    def partial(self) -> Path:
        """The file while it is being downloaded."""
        return self.root / f"{self.key}.partial" / "model.gguf"

    def config(self, expected: int | Artifact | None) -> PullConfig:
        """The work; `expected` is what `resolve` found, or its size."""
        artifact = expected if isinstance(expected, Artifact) else None
        if isinstance(expected, int):
            files = (WeightsFile(path="model.gguf", size_bytes=expected),)
            artifact = Artifact(format="gguf", size_bytes=expected, files=files)
        return PullConfig(
            source=self.source or Source(http=HttpSource(url=self.url, sha256=self.sha256)),
            key=self.key,
            root=str(self.root),
            expected=artifact,
            credentials=self.credentials,
            port=free_port(),
        )

    async def start(
        self,
        command: str,
        *,
        expected: int | Artifact | None = None,
        config: PullConfig | None = None,
        terminal: int = asyncio.subprocess.PIPE,
    ) -> Running:
        """Start a command; `config` instead of the usual one, its log on a `terminal`."""
        config = config or self.config(expected)
        log = self.root.parent / f"termination-{len(self._started)}"
        inherited = {
            name: text for name, text in os.environ.items() if not name.upper().endswith("_PROXY")
        }
        process = await asyncio.create_subprocess_exec(
            *self.prefix,
            sys.executable,
            "-m",
            "runnerd",
            command,
            env={
                **inherited,
                "RUNNERD_PULL": encode(config),
                "TERMINATION_LOG": str(log),
                **self.environment,
            },
            stdout=asyncio.subprocess.DEVNULL,
            stderr=terminal,
        )
        self._started.append(process)
        return Running(process, config.port, log)

    async def pull(self, *, expected: int | Artifact | None = None) -> Ended:
        """Pull, to the end."""
        return await (await self.start("pull", expected=expected)).ended()

    async def resolve(self) -> Ended:
        """Resolve, to the end."""
        return await (await self.start("resolve")).ended()

    def held_size(self) -> int:
        """Bytes in the partial file."""
        return self.partial.stat().st_size if self.partial.exists() else 0

    async def held(self, size: int) -> None:
        """Wait until the partial file has this size."""
        await until(lambda: self.held_size() == size)

    async def file_held(self, path: Path, size: int) -> None:
        """Wait until another file than the usual one has this size."""
        await until(lambda: path.exists() and path.stat().st_size == size)

    async def killed_midway(self, artifact: Artifact | None = None) -> int:
        """Kill -9 a pull once something came, and long before its end; the bytes that it leaves."""
        fast = self.environment
        self.environment = {**fast, "RUNNERD_PULL_BANDWIDTH": CRAWL}
        running = await self.start("pull", expected=artifact)
        await until(lambda: self.held_size() > 0)
        running.process.kill()
        await running.process.wait()
        self.environment = fast
        return self.held_size()

    async def grown(self, pause: float) -> None:
        """Wait until the partial file is larger than now; look again after each pause."""
        size = self.held_size()
        await until(lambda: self.held_size() > size, pause=pause)

    async def end(self) -> None:
        """Kill what is still running."""
        for process in self._started:
            if process.returncode is None:
                process.kill()
            await process.communicate()


def assert_cached(commands: Commands, size: int, seed: int = 1) -> None:
    """The cache holds the model, and nothing else."""
    found = (commands.folder / "model.gguf").read_bytes()
    assert found == model(size, seed=seed)
    assert sorted(p.name for p in commands.folder.iterdir()) == ["manifest.json", "model.gguf"]
    assert not commands.partial.parent.exists()
