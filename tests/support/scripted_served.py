"""Engines of a pool that do what a test tells them, without a process."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Artifact, Mode, RunConfig, WeightsFile
from runnerd.engines.failure import Failure
from runnerd.server.served import Served
from runnerd.standalone.catalogue.stored import Stored
from runnerd.standalone.pool import Pool
from tests.support.scripted_runner import eventually

MEBIBYTE = 1 << 20
FIXED = 64 * MEBIBYTE
"""What the estimate adds to the weights of a model whose header cannot be read."""


class ScriptedEngine:
    """What the pool looks at of a Supervisor."""

    def __init__(self) -> None:
        self.ready = self.stopped = False
        self.failure: Failure | None = None
        self._changed = asyncio.Event()

    def changed(self) -> Coroutine[Any, Any, object]:
        """Ends at the next change."""
        return self._changed.wait()

    def become_ready(self) -> None:
        """It is loaded, or loaded again."""
        if not self.stopped:
            self.ready, self.failure = True, None
            self._signal()

    def crash(self, message: str = "it burnt") -> None:
        """It ended, and the supervisor waits before it starts it again."""
        self.ready, self.failure = False, Failure(Reason.ENGINE_FAILED, message)
        self._signal()

    def _signal(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class ScriptedServed:
    """What the pool uses of a Served. A real one has a process, which a unit test need not."""

    def __init__(self, config: RunConfig, *, ready: bool, slow_to_stop: bool) -> None:
        self.config = config
        self.engine = ScriptedEngine()
        self.keep_alive: float | None = None
        self.started = self.stopped = False
        self.gone = asyncio.Event()
        if not slow_to_stop:
            self.gone.set()
        self._ready = ready
        self._over = asyncio.Event()
        self.error: Exception | None = None

    async def run(self) -> None:
        """Live until it is stopped, or `give_up`."""
        self.started = True
        if self._ready:
            self.engine.become_ready()
        await self._over.wait()
        if self.error:
            raise self.error

    def give_up(self, error: Exception | None = None) -> None:
        """The supervisor ends."""
        self.error = error
        self._over.set()

    @property
    def over(self) -> bool:
        """Whether its memory is free."""
        return self._over.is_set()

    async def stop(self, grace: float) -> None:
        """End; takes until `gone` is set."""
        del grace
        self.stopped = True
        self.engine.ready, self.engine.stopped = False, True
        await self.gone.wait()
        self._over.set()


class Workshop:
    """Makes them, and remembers them in their order."""

    def __init__(self, *, ready: bool = True, slow_to_stop: bool = False) -> None:
        self.ready = ready
        self.slow_to_stop = slow_to_stop
        self.made: list[ScriptedServed] = []

    def make(self, config: RunConfig) -> Served:
        """One more; the newest one is the last of `made`."""
        served = ScriptedServed(config, ready=self.ready, slow_to_stop=self.slow_to_stop)
        self.made.append(served)
        return cast("Served", served)

    @property
    def models(self) -> list[str]:
        """The models that engines were made for, in their order."""
        return [one.config.model for one in self.made]


def stored(letter: str, mebibytes: int = 100) -> Stored:
    """A model `ai/<letter>:latest` whose file cannot be read: it needs its size and `FIXED`."""
    size = mebibytes * MEBIBYTE
    return Stored(
        identity=f"sha256:{letter * 64}",
        tags=(f"ai/{letter}:latest",),
        created=0.0,
        artifact=Artifact(
            format="gguf", size_bytes=size, files=(WeightsFile(path="m.gguf", size_bytes=size),)
        ),
        folder=Path("/nonexistent"),
    )


@asynccontextmanager
async def pooled(workshop: Workshop, **more: Any) -> AsyncIterator[Pool]:
    """A pool of two slots whose engines stay for ever; it is closed at the end."""
    usual: dict[str, Any] = {
        "slots": 2,
        "budget": None,
        "make": workshop.make,
        "find": lambda _: None,
        "default_keep_alive": -1.0,
        "max_waiting": 50,
        "wait_timeout": 20.0,
    }
    pool = Pool(**{**usual, **more})
    try:
        yield pool
    finally:
        for one in workshop.made:
            one.gone.set()
        await pool.close()
        assert all(one.stopped for one in workshop.made)


class Client:
    """Uses an engine, as soon as it gets it, until `leave`."""

    def __init__(self, pool: Pool, model: Stored, mode: Mode = Mode.COMPLETION) -> None:
        self.served: Served | None = None
        self._left = asyncio.Event()
        self.task = asyncio.create_task(self._use(pool, model, mode))

    async def _use(self, pool: Pool, model: Stored, mode: Mode) -> None:
        async with pool.lease(model, mode, name=model.tags[0]) as served:
            self.served = served
            await self._left.wait()

    async def inside(self) -> None:
        """Wait until it has its engine."""
        await eventually(lambda: self.served is not None or self.task.done())
        if self.task.done():
            await self.task

    async def leave(self) -> None:
        """Stop using it."""
        self._left.set()
        await self.task


async def use(pool: Pool, model: Stored, mode: Mode = Mode.COMPLETION) -> None:
    """Use an engine for a moment."""
    async with pool.lease(model, mode, name="asked"):
        pass
