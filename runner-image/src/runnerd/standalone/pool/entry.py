"""One engine of the pool, from its start until it is gone."""

import asyncio
import logging
import time
from collections.abc import Callable

from runnerd.logs import fields
from runnerd.server.served import Served
from runnerd.standalone.pages import RefusedError
from runnerd.standalone.pool import refusals
from runnerd.standalone.pool.specification import Specification

log = logging.getLogger(__name__)


class Entry:
    """An engine, who uses it, and whether it can be used.

    Attributes:
        in_use: How many use it or wait for it to be loaded.
        loaded: Whether it was ready once.
        leaving: Whether it is going; nobody new may use it.
        idle_since: When it was last used or became ready, by the loop's clock.
        last_used: The same, since the epoch.
    """

    def __init__(
        self,
        specification: Specification,
        served: Served,
        *,
        broken: Callable[["Entry"], None],
        loaded: Callable[[], None],
    ) -> None:
        """Start it.

        `broken` is called once, when it is of no use any more, and `loaded` when it is ready for
        the first time.
        """
        self.specification = specification
        self.served = served
        self._broken = broken
        self._loaded = loaded
        self._clock = asyncio.get_running_loop().time
        self._changed = asyncio.Event()
        self._seen: object = None
        self._failure: RefusedError | None = None
        self._mended = False
        self.in_use = 0
        self.loaded = False
        self.leaving = False
        self.idle_since = self._clock()
        self.last_used = time.time()
        self._watch = asyncio.create_task(self._live())

    @property
    def ready(self) -> bool:
        """Whether it answers now."""
        return self.loaded and self.served.engine.ready and not self.leaving

    def enter(self, count: int = 1) -> None:
        """So many more use it. Each is followed by `leave`."""
        self.in_use += count
        self._used()

    def leave(self) -> None:
        """One less uses it."""
        self.in_use -= 1
        self._used()
        if not self.in_use and self.loaded and not self.served.engine.ready:
            # It broke, and nobody waits for it any more: the next one gets a new one.
            self._end(refusals.not_loaded(self.specification.name, self.served.engine.failure))

    async def arrived(self) -> None:
        """Wait until it can be used.

        Raises:
            RefusedError: it never will.
        """
        while not self.ready:
            if self._failure is not None:
                raise self._failure
            await self._changed.wait()

    def dismiss(self) -> None:
        """Let nobody use it any more; whoever still waits for it is refused."""
        self._end(refusals.unloaded(self.specification.name))

    async def stop(self, grace: float) -> None:
        """End it, SIGTERM and SIGKILL after `grace` seconds."""
        await self.served.stop(grace)
        self._watch.cancel()
        await asyncio.wait({self._watch})

    async def _live(self) -> None:
        """Follow the engine's state until the engine is given up."""
        engine, name = self.served.engine, self.specification.name
        run = asyncio.create_task(self.served.run())
        try:
            while not run.done():
                change = asyncio.create_task(engine.changed())
                self._look()
                await asyncio.wait({run, change}, return_when=asyncio.FIRST_COMPLETED)
                change.cancel()
            if not run.cancelled() and (error := run.exception()):
                log.critical("the supervisor failed", exc_info=error)
                self._end(refusals.ours())
            self._end(refusals.not_loaded(name, engine.failure))
        finally:
            run.cancel()
            await asyncio.wait({run})

    def _look(self) -> None:
        engine, name = self.served.engine, self.specification.name
        if engine.ready:
            self._mended = True
            if not self.loaded:
                self.loaded = True
                self._used()
                needs = refusals.told(self.specification.needs)
                log.info("loaded", extra=fields(model=name, needs=needs))
                self._loaded()
        elif engine.failure is not None and engine.failure is not self._seen:
            self._seen = engine.failure
            # Requests in flight wait for one new start; what fails twice in a row is given up.
            if not (self._mended and self.in_use):
                self._end(refusals.not_loaded(name, engine.failure))
            self._mended = False
        self._signal()

    def _end(self, failure: RefusedError) -> None:
        if self._failure is None:
            self._failure = failure
            self.leaving = True
            self._signal()
            self._broken(self)

    def _used(self) -> None:
        self.idle_since = self._clock()
        self.last_used = time.time()

    def _signal(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
