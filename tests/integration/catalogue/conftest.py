"""Catalogues, what pulls into them, and the registries that they pull from."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from modelrunner_protocol.dmr import Kind, Line
from runnerd.standalone.catalogue.add import add
from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.catalogue.pulls import Pulls
from runnerd.standalone.catalogue.pushes import Pushes
from runnerd.standalone.catalogue.sources import Sources
from runnerd.standalone.catalogue.stored import Stored
from runnerd.weights.clock import SystemClock
from runnerd.weights.oci.package import Ingredients
from runnerd.weights.settings import Settings
from tests.support.file_server import FileServer
from tests.support.gguf_files import model
from tests.support.oci_files import GGUF, OciFiles
from tests.support.registry_process import RegistryProcess, running_registry

__all__ = ["MIB", "SIZE", "Site"]

MIB = 1 << 20
SIZE = 4 * MIB + 12345
PATIENCE = 180.0


@dataclass
class Site:
    """A catalogue and what fills it; `environment` is what the server would have."""

    root: Path
    default_registry: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    settings: Settings = field(default_factory=lambda: Settings(resolve_timeout=50.0))

    def __post_init__(self) -> None:
        """As `runnerd serve` does it."""
        self.catalogue = Catalogue(self.root, default_registry=self.default_registry)
        self.sources = Sources(
            names=self.catalogue.names,
            settings=self.settings,
            clock=SystemClock(),
            insecure=True,
            environment=self.environment,
        )
        self.pulls = Pulls(self.catalogue, self.sources)
        self.pushes = Pushes(self.catalogue, self.sources)

    async def pull(self, reference: str, token: str = "") -> list[Line]:
        """All events of a pull."""
        async with (
            asyncio.timeout(PATIENCE),
            aclosing(self.pulls.pull(reference, token=token)) as events,
        ):
            return [event async for event in events]

    async def pulled(self, reference: str, token: str = "") -> Stored:
        """The model that a pull brings."""
        assert (await self.pull(reference, token))[-1].kind is Kind.SUCCESS
        stored = self.catalogue.find(reference)
        assert stored is not None
        return stored

    async def push(self, name: str, token: str = "") -> list[Line]:
        """All events of a push."""
        async with (
            asyncio.timeout(PATIENCE),
            aclosing(self.pushes.push(name, token=token)) as events,
        ):
            return [event async for event in events]

    def add(self, name: str, seed: int = 1, size: int = SIZE) -> Stored:
        """A model whose bytes `seed` decides."""
        file = self.root.parent / f"{seed}.gguf"
        file.write_bytes(model(size, seed=seed))
        return add(self.catalogue, Ingredients(weights=[file]), name)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """An empty catalogue."""
    site = Site(tmp_path / "models")
    yield site
    await site.pulls.close()


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Site]:
    """Another one, to push from."""
    site = Site(tmp_path / "other")
    yield site
    await site.pulls.close()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryProcess]:
    """A real registry that is open to all."""
    with running_registry(tmp_path) as running:
        yield running


FILES = OciFiles([(GGUF, model(SIZE), "m.gguf")])


@pytest.fixture
async def server() -> AsyncIterator[FileServer]:
    """A registry that can go wrong, with one model: `reference_to(server)`."""
    async with FileServer(FILES.files()).running() as running:
        yield running


def reference_to(server: FileServer, files: OciFiles = FILES) -> str:
    """The model of a registry that can go wrong."""
    return f"127.0.0.1:{server.port}/{files.name}:{files.tag}"
