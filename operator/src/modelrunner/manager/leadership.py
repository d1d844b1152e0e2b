"""What only the leader runs: watches, resync, discovery and the work queue."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace

from modelrunner.config import OperatorSettings
from modelrunner.controller.reconciler import Reconciler
from modelrunner.controller.result import Result
from modelrunner.controller.resync import Resync
from modelrunner.controller.workqueue import WorkQueue
from modelrunner.domain.downloads import PullEnd
from modelrunner.kube.client import KubeClient
from modelrunner.kube.collection import CollectionSource
from modelrunner.kube.events import EventRecorder
from modelrunner.kube.objects import KubeObject
from modelrunner.kube.resources import MODEL_RUNNERS, SERVICE_MONITORS
from modelrunner.kube.store import Change, Store
from modelrunner.manager.discovery import Discovery, wait_served
from modelrunner.manager.health import Health
from modelrunner.manager.intake import Intake
from modelrunner.manager.keys import Key
from modelrunner.manager.mapping import OwnerKeys
from modelrunner.manager.watched import USERS, watched
from modelrunner.manager.watches import Watches
from modelrunner.telemetry.metrics import Metrics

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What reconcilers are built from.

    `scaled` is told each scale step (see doors.Told), `pulled` each pull Job that ended.
    """

    client: KubeClient
    store: Store
    recorder: EventRecorder
    settings: OperatorSettings
    scaled: Callable[[str, str], None] = lambda _direction, _result: None
    pulled: Callable[[PullEnd], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Wiring:
    """What the generic loop is given: one reconciler per kind, and how to read a Model's keys."""

    reconcilers: Mapping[str, Reconciler[tuple[str, str]]]
    artifact_keys: Callable[[KubeObject], Collection[str]]
    close: Callable[[], Awaitable[None]]


Build = Callable[[Parts], Wiring]


class Leadership:
    """The running operator: `run` it, `queue.drain` it, cancel it, `close` it."""

    def __init__(self, parts: Parts, build: Build, metrics: Metrics, health: Health) -> None:
        settings = parts.settings
        namespaces = settings.watch_namespaces
        self._parts = parts
        self._health = health
        self._wiring = build(replace(parts, scaled=metrics.scaled, pulled=metrics.pulls.ended))
        self._collections = watched(namespaces)
        self.queue: WorkQueue[Key] = WorkQueue(self._reconcile, observer=metrics)
        self.resync: Resync[Change] = Resync(
            [CollectionSource(parts.client, parts.store, one) for one in self._collections],
            on_change=lambda _, change: self.intake.difference(change),
            on_sweep=self._swept,
            period=settings.resync_seconds,
        )
        self.intake = Intake(
            parts.store,
            OwnerKeys(parts.store, self._wiring.artifact_keys),
            add=self.queue.add,
            relisted=self.resync.soon,
            missed=lambda label: metrics.missed.labels(resource=label).inc(),
        )
        self._watches = Watches(self._collections, namespaces, self.intake.event)
        self._discovery = Discovery(
            parts.client,
            SERVICE_MONITORS,
            changed=self._add_runners,
            period=settings.discovery_seconds,
        )

    async def run(self) -> None:
        """Run until cancelled; any part that ends by itself ends all with its error."""
        await wait_served(self._parts.client, USERS, waiting=self._waiting)
        parts = [
            asyncio.create_task(self._work(), name="work"),
            asyncio.create_task(self.resync.run(), name="resync"),
            asyncio.create_task(self._watches.run(), name="watches"),
            asyncio.create_task(self._discovery.run(), name="discovery"),
        ]
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in parts:
                task.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    async def close(self, seconds: float) -> None:
        """Wait for the watches to end, at most `seconds`, after `run` was cancelled."""
        await self._wiring.close()
        await self._watches.join(seconds)

    async def _work(self) -> None:
        # A plan made from half a cache would create what is there already.
        await self.resync.wait_synced()
        _log.info("synced, %d keys to look at", self.queue.depth())
        await self.queue.run(self._parts.settings.workers)

    async def _reconcile(self, key: Key) -> Result:
        return await self._wiring.reconcilers[key.kind].reconcile((key.namespace, key.name))

    def _swept(self) -> None:
        self.intake.swept()
        for resource in USERS:
            for item in self._parts.store.list(resource):
                self.queue.add(Key.of(resource, item))

    def _add_runners(self) -> None:
        for item in self._parts.store.list(MODEL_RUNNERS):
            self.queue.add(Key.of(MODEL_RUNNERS, item))

    def _waiting(self, what: str) -> None:
        self._health.trouble = what
