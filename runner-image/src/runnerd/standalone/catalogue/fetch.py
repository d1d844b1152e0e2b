"""One download, which any number of pulls watch."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Final

from modelrunner_protocol import dmr
from runnerd.standalone.catalogue.layers import Layers
from runnerd.standalone.catalogue.sources import Wanted
from runnerd.weights.failure import WeightsError
from runnerd.weights.oci.weights import Description
from runnerd.weights.progress import ProgressMeter

INTERVAL: Final = 0.1
"""Seconds between two looks at a download, as in Docker Model Runner."""

WAITING: Final = "Waiting: other downloads are at work"


@dataclass(slots=True, kw_only=True, eq=False)
class Fetch:
    """A download: of what, for whom, and how far it is.

    Attributes:
        identity: What it will be called.
        wanted: By whom first.
        waiting: Whether it has not begun, since others are at work.
        work: Does it, with this as its argument.
        watchers: How many pulls watch it.
    """

    identity: str
    wanted: Wanted
    description: Description
    meter: ProgressMeter
    work: Callable[["Fetch"], Coroutine[None, None, None]]
    waiting: bool = True
    watchers: int = 0
    task: "asyncio.Task[None]" = field(init=False)

    def __post_init__(self) -> None:
        """Start it."""
        self.task = asyncio.create_task(self.work(self))


@dataclass(slots=True)
class Watch:
    """What one pull has told of a download so far."""

    fetch: Fetch
    done: bool = False
    _layers: Layers = field(init=False)
    _said: str = ""

    def __post_init__(self) -> None:
        """Begin at the first layer, wherever the download is."""
        self._layers = Layers(self.fetch.description.artifact.files)

    async def news(self) -> list[dmr.Line]:
        """What is new; waits a moment for it.

        Raises:
            WeightsError: the download failed, or was stopped.
        """
        fetch = self.fetch
        finished, _ = await asyncio.wait({fetch.task}, timeout=INTERVAL)
        if fetch.task.cancelled():
            raise WeightsError(
                "the server stops; what has come is kept: pull again", retryable=True
            )
        if finished:
            fetch.task.result()
            self.done = True
            return self._layers.since(fetch.meter.completed)
        if fetch.waiting:
            return self._say(dmr.Kind.PROGRESS, WAITING)
        return [*self._say(dmr.Kind.WARNING, fetch.meter.message), *self._progress()]

    def _progress(self) -> list[dmr.Line]:
        # Nothing is known of it until it has looked at what is on the disk.
        return (
            [] if self.fetch.meter.total is None else self._layers.since(self.fetch.meter.completed)
        )

    def _say(self, kind: dmr.Kind, message: str) -> list[dmr.Line]:
        if message == self._said:
            return []
        self._said = message
        total = self.fetch.description.artifact.size_bytes if kind is dmr.Kind.PROGRESS else 0
        return [dmr.Line(kind=kind, message=message, total=total)] if message else []
