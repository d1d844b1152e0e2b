"""Pulls: each is told to whoever asked, and equal ones are one download."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from modelrunner_protocol import dmr
from modelrunner_protocol.wire import PullConfig
from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.catalogue.documents import write_documents
from runnerd.standalone.catalogue.fetch import Fetch, Watch
from runnerd.standalone.catalogue.sources import Sources, Wanted
from runnerd.standalone.catalogue.telling import telling
from runnerd.weights.failure import WeightsError
from runnerd.weights.limited import pull_from
from runnerd.weights.oci.weights import Description
from runnerd.weights.progress import ProgressMeter
from runnerd.weights.tensor_model import refuse_tensors

logger = logging.getLogger(__name__)

AT_ONCE: Final = 2
"""Downloads at a time, as in Docker Model Runner."""

PullEvent = dmr.Line


class Pulls:
    """Brings models from registries into a catalogue.

    Args:
        catalogue: Where they go.
        sources: Where they come from.
        at_once: Downloads at a time; more wait, and say so.
    """

    def __init__(self, catalogue: Catalogue, sources: Sources, *, at_once: int = AT_ONCE) -> None:
        self._catalogue = catalogue
        self._sources = sources
        self._slots = asyncio.Semaphore(at_once)
        self._fetches: dict[str, Fetch] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def pull(self, reference: str, *, token: str = "") -> AsyncGenerator[PullEvent, None]:
        """Pull a model, and let its reference lead to it; tells how far it is.

        A download goes on as long as one pull of an equal model is there to be told: close the
        iterator (`contextlib.aclosing`) when nobody listens any more. What has come is kept, and
        the next pull goes on from there.

        Args:
            reference: In any spelling.
            token: A bearer token for its registry, for this pull alone.

        Yields:
            Progress and warnings, then one success or one error.

        Raises:
            PullRefusedError: instead of the first event.
        """
        wanted = self._sources.wanted(reference, token)
        what = f"pulling {wanted}"
        async with aclosing(telling(self._pull(wanted), what, self._catalogue.root)) as events:
            async for event in events:
                yield event

    def watchers(self, identity: str) -> int:
        """How many pulls are told of the download of a model; 0 when there is none."""
        fetch = self._fetches.get(identity)
        return fetch.watchers if fetch else 0

    async def close(self) -> None:
        """Stop all downloads; what has come is kept."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _pull(self, wanted: Wanted) -> AsyncGenerator[PullEvent, None]:
        async with self._sources.open(wanted, self._catalogue.models) as source:
            identity = await source.identify()
            stored = await asyncio.to_thread(
                self._catalogue.admit, identity, wanted.tag, known=True
            )
            if stored is not None:
                yield dmr.cached(stored.artifact.size_bytes)
                return
            running = self._fetches.get(identity)
            description = running.description if running else await source.describe(identity)
            refuse_tensors(description.artifact.files, str(wanted), "name one with GGUF weights")
        fetch = self._joined(identity, wanted, description)
        fetch.watchers += 1
        try:
            watch = Watch(fetch)
            while not watch.done:
                for event in await watch.news():
                    yield event
        finally:
            fetch.watchers -= 1
            if not fetch.watchers:
                self._drop(fetch)
        if await asyncio.to_thread(self._catalogue.admit, identity, wanted.tag) is None:
            raise WeightsError("the model was removed while it was pulled: pull it again")
        yield dmr.pulled()

    def _joined(self, identity: str, wanted: Wanted, description: Description) -> Fetch:
        """The download of a model: the one that is at work, or a new one."""
        if identity in self._fetches:
            return self._fetches[identity]
        fetch = Fetch(
            identity=identity,
            wanted=wanted,
            description=description,
            meter=ProgressMeter(self._sources.clock),
            work=self._fetch,
        )
        self._fetches[identity] = fetch
        self._tasks.add(fetch.task)
        fetch.task.add_done_callback(lambda done: self._ended(fetch, done))
        return fetch

    def _drop(self, fetch: Fetch) -> None:
        """Nobody watches it any more."""
        if self._fetches.get(fetch.identity) is fetch:
            del self._fetches[fetch.identity]
        fetch.task.cancel()

    def _ended(self, fetch: Fetch, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if self._fetches.get(fetch.identity) is fetch:
            del self._fetches[fetch.identity]
        # Whoever watched was told; that nobody did is no fault.
        _ = task.cancelled() or task.exception()

    async def _fetch(self, fetch: Fetch) -> None:
        async with self._slots, self._sources.open(fetch.wanted) as source:
            fetch.waiting = False
            store = self._catalogue.store(fetch.identity)
            config = PullConfig(
                source=fetch.wanted.source,
                key=store.folder.name,
                root=str(self._catalogue.root),
                expected=fetch.description.artifact,
            )
            await pull_from(
                source, config, self._sources.settings, fetch.meter, self._sources.clock
            )
            description = fetch.description
            await asyncio.to_thread(
                write_documents, store.folder, description.manifest, description.config
            )
