"""The models that a server is to have from its start (MODELS)."""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

from modelrunner_protocol.configure import Configuration
from modelrunner_protocol.dmr import Kind, size_text
from runnerd.logs import fields
from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.catalogue.pulls import PullEvent, Pulls
from runnerd.standalone.catalogue.refusal import PullRefusedError
from runnerd.standalone.catalogue.stored import Stored
from runnerd.standalone.meant import meant_mode
from runnerd.standalone.pages import RefusedError
from runnerd.standalone.pool import Pool

log = logging.getLogger(__name__)

_LONGEST_PAUSE: Final = 300.0
_TOLD_EVERY: Final = 5.0


class Beginning:
    """Pulls what is missing and configures it, one model after the other, until all are there.

    `missing` holds the models that are not there yet, with why the newest try failed ("" before
    the first one).
    """

    def __init__(
        self,
        models: Sequence[str],
        catalogue: Catalogue,
        pulls: Pulls,
        pool: Pool,
        *,
        first_pause: float = 5.0,
    ) -> None:
        """`first_pause`: seconds before what failed is tried again; each one is twice as long."""
        self._first_pause = first_pause
        self._catalogue = catalogue
        self._pulls = pulls
        self._pool = pool
        self.missing = dict.fromkeys(models, "")

    async def run(self) -> None:
        """Return once all are there; what fails is tried again, ever more seldom."""
        pause = self._first_pause
        while True:
            # What is in the store does not wait for a registry that may be away.
            for name in await asyncio.to_thread(self._stored_first):
                await self._bring(name)
            if not self.missing:
                return
            log.warning("models are missing", extra=fields(models=self.missing, pause=pause))
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _bring(self, name: str) -> None:
        try:
            stored = await asyncio.to_thread(self._found, name) or await self._pulled(name)
        except PullRefusedError as error:
            self._failed(name, str(error))
        except (OSError, RefusedError) as error:
            self._failed(name, str(error))
        else:
            if stored is None:
                return
            # So that it is listed with what is configured, as after POST …/_configure.
            self._pool.configure(stored.identity, Configuration(), meant_mode(stored))
            log.info("model is there", extra=fields(model=name, id=stored.identity))
            self.missing.pop(name, None)

    def _stored_first(self) -> list[str]:
        """The models that are missing, those ahead that only have to be configured."""
        return sorted(self.missing, key=lambda name: self._found(name) is None)

    def _failed(self, name: str, cause: str) -> None:
        self.missing[name] = cause
        log.error("a model could not be pulled", extra=fields(model=name, cause=cause))

    def _found(self, name: str) -> Stored | None:
        """The model, if it is there under this very reference: a like name is not enough."""
        stored = self._catalogue.find(name)
        if stored is None:
            return None
        tag = self._catalogue.names.tag_of(name)
        return stored if not tag or tag in stored.tags else None

    async def _pulled(self, name: str) -> Stored | None:
        """The model once it is here; None when a pull failed that had begun."""
        log.info("pulling", extra=fields(model=name))
        progress = _Progress(name)
        async with aclosing(self._pulls.pull(name)) as events:
            async for event in events:
                if event.kind is Kind.ERROR:
                    self._failed(name, event.message)
                    return None
                progress.tell(event)
        return await asyncio.to_thread(self._found, name)


class _Progress:
    """Says every few seconds how far a pull is."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._layers: dict[str, int] = {}
        self._told_at = time.monotonic()

    def tell(self, event: PullEvent) -> None:
        if event.kind is Kind.WARNING:
            log.warning("pulling", extra=fields(model=self._name, message=event.message))
        if event.kind is not Kind.PROGRESS:
            return
        self._layers[event.layer] = event.current
        if time.monotonic() - self._told_at < _TOLD_EVERY:
            return
        self._told_at = time.monotonic()
        done = size_text(sum(self._layers.values()))
        log.info("pulling", extra=fields(model=self._name, done=done, of=size_text(event.total)))
