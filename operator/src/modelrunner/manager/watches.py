"""The watches: kopf's streams, each event handed over to our loop.

kopf runs in a thread and loop of its own. In ours it would take over the signal handlers and,
when it ends, cancel every task started since (open HTTP requests, running reconciles).
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol, cast

import kopf

from modelrunner.kube.collection import Collection
from modelrunner.kube.objects import KubeObject
from modelrunner.kube.resources import Resource
from modelrunner.manager.settings import configure, login

# kopf would make one up from the user's name, and the user of a pod has a number only.
_IDENTITY: Final = cast("Any", "modelrunner")


class WatchesEnded(Exception):  # noqa: N818 - named by what happened
    """The watch engine stopped although nobody asked it to."""


class Sink(Protocol):
    """Takes events, in the loop that started the watches."""

    def __call__(self, resource: Resource, kind: str | None, item: KubeObject) -> None:
        """`kind`: ADDED, MODIFIED, DELETED; None for what a (re-)listing found."""
        ...


class Watches:
    """Watches collections until stopped. Start it once."""

    def __init__(
        self, collections: Sequence[Collection], namespaces: Sequence[str], sink: Sink
    ) -> None:
        self._collections = collections
        self._namespaces = namespaces
        self._sink = sink
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: Callable[[], object] = lambda: None
        self._stopping = threading.Event()
        self._ended: asyncio.Future[BaseException | None] | None = None

    async def run(self) -> None:
        """Watch until cancelled.

        Raises:
            WatchesEnded: kopf ended by itself, with what it said.
        """
        self._loop = asyncio.get_running_loop()
        ended = self._ended = self._loop.create_future()
        # A daemon: a thread that hangs in a socket must not keep a process that lost its lease.
        threading.Thread(target=self._thread, args=(ended,), name="watches", daemon=True).start()
        try:
            error = await asyncio.shield(ended)
        except asyncio.CancelledError:
            self._stopping.set()
            self._stop()
            raise
        raise WatchesEnded("the watches ended") from error

    async def join(self, seconds: float) -> None:
        """Wait for the end of the streams, once `run` has been cancelled."""
        if self._ended is not None:
            await asyncio.wait({self._ended}, timeout=seconds)

    def _thread(self, ended: asyncio.Future[BaseException | None]) -> None:
        error: BaseException | None = None
        try:
            asyncio.run(self._watch())
        except BaseException as caught:  # noqa: BLE001 - told to the loop that waits for it
            error = caught
        self._call(_finish, ended, error)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        self._stop = lambda: _threadsafe(loop, stop.set)
        if self._stopping.is_set():
            return
        # It warns that it cannot take over the signals, which is why it runs here.
        logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
        settings = kopf.OperatorSettings()
        configure(settings, self._collections)
        await kopf.operator(
            registry=self._registry(),
            settings=settings,
            standalone=True,
            identity=_IDENTITY,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            stop_flag=stop,
        )

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(login)
        for collection in self._collections:
            of = collection.resource
            handler = self._handler(of)
            kopf.on.event(of.group, of.version, of.plural, id=of.plural, registry=registry)(handler)
        return registry

    def _handler(self, resource: Resource) -> Callable[..., Awaitable[None]]:
        async def seen(event: Mapping[str, Any], **_: Any) -> None:
            self._call(self._sink, resource, event["type"], dict(event["object"]))

        return seen

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        if self._loop is not None:
            _threadsafe(self._loop, function, *arguments)


def _finish(ended: asyncio.Future[BaseException | None], error: BaseException | None) -> None:
    if not ended.done():
        ended.set_result(error)


def _threadsafe(
    loop: asyncio.AbstractEventLoop, function: Callable[..., object], *arguments: object
) -> None:
    try:
        loop.call_soon_threadsafe(function, *arguments)
    except RuntimeError:
        # That loop has ended, and with it everybody who could have wanted to know.
        return
