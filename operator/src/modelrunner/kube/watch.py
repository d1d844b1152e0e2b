"""List and watch one collection into a sink, for as long as the process runs.

    list ──▶ sink.replace ──▶ watch from there ──▶ sink.put, sink.drop ─┐
     ▲                              ▲            the stream ended or was cut │
     └── its version is not known ──┴──────────────── back-off, if it failed ◀┘

While the server is away the sink simply hears nothing: what it holds goes on being true enough
to serve from. A deletion in that time is found when the watch continues, or by the next list.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from modelrunner.kube.client import KubeClient
from modelrunner.kube.errors import KubeError, Unavailable
from modelrunner.kube.objects import KubeObject, metadata, name_of
from modelrunner.kube.resources import Resource

_log = logging.getLogger(__name__)

_SHORT: Final = 1.0
"""Seconds; a stream that the server ends sooner, without a word, is a fault."""

_PATIENCE_LIMIT: Final = 60.0


class Sink(Protocol):
    """Takes what a watch tells.

    An object that it raises for is counted and passed over; a whole list is tried again.
    """

    def replace(self, items: Sequence[KubeObject], /) -> None:
        """These are all objects there are."""
        ...

    def put(self, item: KubeObject, /) -> None:
        """An object is new or has changed; the same state may come twice."""
        ...

    def drop(self, item: KubeObject, /) -> None:
        """An object is gone; `item` is its last state."""
        ...


@dataclass(frozen=True, slots=True)
class WatchTimes:
    """Seconds.

    `stream`: how long the server keeps a stream. `idle`: how long it may be silent; it sends a
    bookmark about once a minute. Back-off goes from `first_retry` to `last_retry`.
    """

    stream: float = 290.0
    idle: float = 90.0
    first_retry: float = 0.2
    last_retry: float = 5.0


@dataclass(slots=True)
class WatchCounts:
    """Since the start. `refused` counts objects that were malformed or that the sink refused."""

    lists: int = 0
    events: int = 0
    bookmarks: int = 0
    failures: int = 0
    refused: int = 0


class Watch:
    """One collection: `resource` in `namespace` (None: in all) with `label_selector`.

    `synced` is set after the first list and stays so. Run it once.
    """

    def __init__(
        self,
        client: KubeClient,
        resource: Resource,
        sink: Sink,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        times: WatchTimes | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.resource = resource
        self.synced = asyncio.Event()
        self.counts = WatchCounts()
        self._client = client
        self._sink = sink
        self._namespace = namespace
        self._selector = label_selector
        self._times = times or WatchTimes()
        self._jitter = jitter
        self._version = ""
        self._heard_at: float | None = None
        self._opened_at: float | None = None
        self._retry = 0.0
        self._trouble = ""

    @property
    def age(self) -> float | None:
        """Seconds since the server last said something; None before the first list.

        About a minute is usual when nothing changes.
        """
        return None if self._heard_at is None else self._now() - self._heard_at

    @property
    def trouble(self) -> str:
        """What keeps the watch from going on right now, "" when nothing does."""
        return self._trouble

    async def run(self) -> None:
        """Watch until cancelled; no failure ends it."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._follow()
            except Exception as error:  # noqa: BLE001 - who serves from it is not to end with it
                await self._failed(error)

    async def _failed(self, error: Exception) -> None:
        self.counts.failures += 1
        lived, self._opened_at = self._lived(), None
        # That a stream which was well is cut is nothing to tell: proxies do so every minute.
        if not (isinstance(error, Unavailable) and lived >= _SHORT):
            self._tell(f"{type(error).__name__}: {error}", None if _expected(error) else error)
        if not _keeps_place(error):
            self._version = ""
        await asyncio.sleep(self._pause(error))

    async def _list(self) -> None:
        found = await self._client.snapshot(
            self.resource, self._namespace, label_selector=self._selector
        )
        if not found.resource_version:
            raise Unavailable(0, "Unreadable", f"a list of {self.resource.label} without a version")
        items = [item for item in found.items if self._is_whole(item)]
        self.counts.lists += 1
        self._sink.replace(items)
        self._version = found.resource_version
        self._heard_at = self._now()
        self.synced.set()

    async def _follow(self) -> None:
        """One stream, until the server ends it."""
        async with self._client.watch(
            self.resource,
            self._namespace,
            resource_version=self._version,
            label_selector=self._selector,
            # Streams of many processes that started together shall not end together.
            seconds=self._times.stream * (0.8 + 0.2 * self._jitter()),
            idle=self._times.idle,
        ) as events:
            self._heard_at = self._opened_at = self._now()
            self._tell("")
            async for kind, item in events:
                self._heard_at = self._now()
                self._retry = 0.0
                self._take(kind, item)
        if self._lived() < _SHORT:
            raise Unavailable(0, "Ended", "the stream ended as soon as it began")

    def _lived(self) -> float:
        """Seconds since the stream was opened; 0 when none is."""
        return 0.0 if self._opened_at is None else self._now() - self._opened_at

    def _take(self, kind: str, item: KubeObject) -> None:
        version = metadata(item).get("resourceVersion")
        if kind == "BOOKMARK":
            self.counts.bookmarks += 1
        elif self._is_whole(item):
            self.counts.events += 1
            if kind == "DELETED":
                self._give(self._sink.drop, item)
            elif kind in {"ADDED", "MODIFIED"}:
                self._give(self._sink.put, item)
        if isinstance(version, str) and version:
            self._version = version

    def _is_whole(self, item: KubeObject) -> bool:
        whole = bool(name_of(item))
        self.counts.refused += not whole
        return whole

    def _give(self, take: Callable[[KubeObject], None], item: KubeObject) -> None:
        try:
            take(item)
        except Exception:  # noqa: BLE001 - an object that breaks its reader comes alone
            self.counts.refused += 1
            _log.exception("what was seen of %s could not be taken in", self.resource.label)

    def _pause(self, error: Exception) -> float:
        times = self._times
        self._retry = min(max(self._retry * 2, times.first_retry), times.last_retry)
        asked = error.retry_after if isinstance(error, Unavailable) else None
        # Jitter keeps processes that lost the server together from coming back together.
        return max(min(asked or 0.0, _PATIENCE_LIMIT), self._retry * (0.5 + 0.5 * self._jitter()))

    def _tell(self, trouble: str, bug: Exception | None = None) -> None:
        """Log the beginning, each new kind and the end of trouble, not every try."""
        if trouble == self._trouble:
            return
        where = f" in {self._namespace}" if self._namespace else ""
        if trouble:
            said = "%s%s cannot be watched: %s"
            _log.warning(said, self.resource.label, where, trouble, exc_info=bug)
        else:
            _log.info("%s%s is watched again", self.resource.label, where)
        self._trouble = trouble

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _expected(error: Exception) -> bool:
    return isinstance(error, KubeError)


def _keeps_place(error: Exception) -> bool:
    """Whether to continue where the stream was; else list anew.

    A gateway timeout is how the API server says that it does not know a version yet, as after a
    restore from a backup: that may be for ever. What cannot be read would come again.
    """
    if isinstance(error, Unavailable):
        return error.status != 504 and error.reason != "Unreadable"
    return isinstance(error, KubeError) and error.status in {401, 403}
