"""A pool of real llama-server processes in the test's own event loop."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelrunner_protocol.wire import Artifact, Mode, RunConfig, WeightsFile
from runnerd.config import Settings
from runnerd.engines.upstream import BASE
from runnerd.server.served import Served
from runnerd.standalone.catalogue.stored import Stored
from runnerd.standalone.pool import Pool, maker
from tests.support.engine import Engine, engine
from tests.support.scripted_served import stored

__all__ = ["World", "engine", "world"]


class World:
    """Real engines; `made` are all that were made, in their order."""

    def __init__(self, engine_: Engine, folder: Path) -> None:
        self._engine = engine_
        self.folder = folder
        settings = Settings(llama_server=str(engine_.llama_server), socket_folder=str(folder))
        self._make = maker(settings)
        self.made: list[Served] = []

    def make(self, config: RunConfig) -> Served:
        """One more engine."""
        self.made.append(self._make(config))
        return self.made[-1]

    def model(self, letter: str) -> Stored:
        """The real model, as if there were several of it."""
        size = self._engine.model.stat().st_size
        file = WeightsFile(path=self._engine.model.name, size_bytes=size)
        return replace(
            stored(letter),
            folder=self._engine.model.parent,
            artifact=Artifact(format="gguf", size_bytes=size, files=(file,)),
        )

    def pids(self) -> list[int]:
        """The engines' processes that live now."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if any(word.startswith(str(self.folder).encode()) for word in words):
                found.append(int(path.parent.name))
        return found

    @asynccontextmanager
    async def pool(self, **more: Any) -> AsyncIterator[Pool]:
        """A pool, which leaves neither a process nor a socket behind."""
        usual: dict[str, Any] = {
            "slots": 1,
            "budget": None,
            "make": self.make,
            "find": lambda _: None,
            "default_keep_alive": -1.0,
            "max_waiting": 50,
            "wait_timeout": 120.0,
            "startup_timeout": 120.0,
        }
        async with AsyncExitStack() as stack:
            pool = Pool(**{**usual, **more})
            stack.push_async_callback(pool.close)
            yield pool
        assert not self.pids()
        assert not list(self.folder.iterdir())


async def complete(pool: Pool, model: Stored, mode: Mode = Mode.COMPLETION) -> Any:
    """Ask the engine something, and give its answer."""
    async with pool.lease(model, mode, name=model.tags[0]) as served:
        if mode is Mode.EMBEDDING:
            return await _post(served, "/v1/embeddings", {"input": "Hello"})
        return await _post(served, "/v1/completions", {"prompt": "Hello", "max_tokens": 2})


async def _post(served: Served, path: str, body: dict[str, Any]) -> Any:
    async with served.session.post(BASE + path, json=body) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def context(served: Served) -> int:
    """How many tokens an engine says that it has room for in one conversation."""
    async with served.session.get(f"{BASE}/props") as answer:
        found: int = (await answer.json())["default_generation_settings"]["n_ctx"]
        return found


@pytest.fixture
def world(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Real engines, with a folder of their own for their sockets."""
    return World(engine, tmp_path_factory.mktemp("p"))
