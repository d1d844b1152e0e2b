"""The operator process: standby, then leader, until it is told to stop or loses the lease.

Order of things: HTTP server → wait for the lease → list everything → watches and workers.
At SIGTERM: no new work → running reconciles end (10 s) → the lease is released → exit 0.
A lost lease: the API client is closed at once, so nothing more is written → exit 3.

Rights the process needs (RBAC), besides discovery, which every account may read:

    in its own namespace:  coordination.k8s.io leases        get create update
    in the watched ones (a ClusterRole without MODELRUNNER_WATCH_NAMESPACES, else a Role in each):
        modelrunner.dev models modelrunners                  get list watch
        modelrunner.dev models/status modelrunners/status    patch
        modelrunner.dev models/finalizers, the same of
            modelrunners                                     update   (see below)
        batch jobs                                           get list watch create patch delete
        apps deployments, core services                      get list watch create patch
        core persistentvolumeclaims                          get list watch create patch delete
        apps deployments/scale                               get patch
        core pods                                            get list watch patch
        monitoring.coreos.com servicemonitors                get create patch delete
        events.k8s.io events                                 list create patch

Server-side apply of an object that may not exist needs `create` beside `patch`. `…/finalizers` is
asked for by clusters with the admission plugin OwnerReferencesPermissionEnforcement when an owner
reference blocks its owner's deletion; no finalizer is ever written. Nothing is read of namespaces,
CustomResourceDefinitions or Secrets.
"""

import asyncio
import logging
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final
from uuid import uuid4

from modelrunner.config import OperatorSettings
from modelrunner.domain.naming import GROUP
from modelrunner.kube.client import KubeClient
from modelrunner.kube.connection import ConnectionSettingsError
from modelrunner.kube.events import EventRecorder
from modelrunner.kube.lease import LeaderElector, LeaseTimes
from modelrunner.kube.resources import MODELS
from modelrunner.kube.store import Store
from modelrunner.manager.endpoints import application
from modelrunner.manager.health import Health
from modelrunner.manager.leadership import Build, Leadership, Parts
from modelrunner.telemetry.lag import LoopLag
from modelrunner.telemetry.logs import configure
from modelrunner.telemetry.metrics import Metrics
from modelrunner.telemetry.probes import serving

OK: Final = 0
FAILED: Final = 1
LEASE_LOST: Final = 3
CONTROLLER: Final = f"{GROUP}/operator"
_DRAIN_SECONDS: Final = 10.0
_LAST_SECONDS: Final = 5.0

_log = logging.getLogger(__name__)


class OperatorProcess:
    """One operator process. `run` gives the exit status."""

    def __init__(self, settings: OperatorSettings, build: Build) -> None:
        self._settings = settings
        self._build = build
        self._metrics = Metrics()
        self._store = Store()
        self._lag = LoopLag()
        self._health = Health(self._lag, settings.resync_seconds)
        self._stop = asyncio.Event()
        self._leadership: Leadership | None = None
        self._identity = f"{settings.pod_name}_{uuid4()}"

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT (0), a failure (1) or the loss of the lease (3)."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)
        self._measure()
        app = application(self._metrics, health=self._health.live, ready=self._health.ready)
        lag = asyncio.create_task(self._lag.run())
        try:
            async with (
                await KubeClient.connected(writes=self._metrics.writes) as client,
                serving(app, self._settings.http_host, self._settings.http_port) as port,
            ):
                _log.info("operator %s started", self._identity, extra={"port": port})
                return await self._campaign(client)
        finally:
            lag.cancel()

    async def _campaign(self, client: KubeClient) -> int:
        elector = self._elector(client)
        self._health.role = "standby"
        acquire = asyncio.create_task(elector.acquire())
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({acquire, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancelled(acquire, stopped)
        if self._stop.is_set():
            await elector.release()
            return OK
        return await self._lead(client, elector)

    async def _lead(self, client: KubeClient, elector: LeaderElector) -> int:
        _log.info("leading")
        self._metrics.leader.set(1)
        recorder = EventRecorder(client, CONTROLLER, self._settings.pod_name)
        parts = Parts(client, self._store, recorder, self._settings)
        leading = self._leadership = Leadership(parts, self._build, self._metrics, self._health)
        self._health.queue, self._health.intake = leading.queue, leading.intake
        self._health.resync = leading.resync
        self._health.role = "leader"
        hold = asyncio.create_task(elector.hold(), name="lease")
        work = asyncio.create_task(leading.run(), name="leadership")
        try:
            return await self._until_over(client, leading, hold, work)
        finally:
            self._metrics.leader.set(0)
            await _cancelled(work, hold)
            await elector.release()
            await leading.close(_LAST_SECONDS / 2)

    async def _until_over(
        self,
        client: KubeClient,
        leading: Leadership,
        hold: "asyncio.Task[None]",
        work: "asyncio.Task[None]",
    ) -> int:
        stopped = asyncio.create_task(self._stop.wait())
        drain: asyncio.Task[None] | None = None
        try:
            await asyncio.wait({hold, work, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not hold.done() and not work.done():
                drain = asyncio.create_task(leading.queue.drain())
                await asyncio.wait(
                    {hold, drain}, timeout=_DRAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
            if hold.done():
                # Somebody else may lead already: nothing more may be written, not even by a
                # reconcile that takes its time to end.
                await client.close()
                _log.critical("stopping at once: %s", hold.exception())
                self._deadline(LEASE_LOST, _LAST_SECONDS)
                return LEASE_LOST
            if work.done():
                _log.critical("stopping: %s", work.exception(), exc_info=work.exception())
                self._deadline(FAILED, _DRAIN_SECONDS)
                return FAILED
            return OK
        finally:
            await _cancelled(stopped, *([drain] if drain else []))

    def _elector(self, client: KubeClient) -> LeaderElector:
        settings = self._settings
        times = LeaseTimes(
            settings.lease_seconds, settings.lease_renew_seconds, settings.lease_retry_seconds
        )
        return LeaderElector(
            client, settings.pod_namespace, settings.lease_name, self._identity, times=times
        )

    def _signalled(self, number: int) -> None:
        _log.info("stopping: %s", signal.Signals(number).name)
        if not self._stop.is_set():
            self._deadline(FAILED, _DRAIN_SECONDS + _LAST_SECONDS)
        self._stop.set()

    @staticmethod
    def _deadline(status: int, seconds: float) -> None:
        """End the process in `seconds`, whatever still hangs then."""
        timer = threading.Timer(seconds, os._exit, (status,))
        timer.daemon = True
        timer.start()

    def _measure(self) -> None:
        """Gauges that are read when Prometheus asks; a standby has no queue to tell of."""

        def of(read: Callable[[Leadership], float | None]) -> Callable[[], float | None]:
            return lambda: None if self._leadership is None else read(self._leadership)

        gauge = self._metrics.gauge
        gauge(
            "modelrunner_queue_depth",
            "Keys that wait for a worker.",
            of(lambda at: at.queue.depth()),
        )
        gauge(
            "modelrunner_queue_running",
            "Reconciles that run now.",
            of(lambda at: at.queue.running()),
        )
        gauge(
            "modelrunner_queue_oldest_seconds",
            "Age of the longest waiting key or longest running reconcile.",
            of(lambda at: at.queue.oldest_age()),
        )
        gauge(
            "modelrunner_resync_age_seconds",
            "Seconds since everything was last listed.",
            of(lambda at: at.resync.age),
        )
        gauge(
            "modelrunner_loop_lag_seconds",
            "How late the event loop last was.",
            lambda: self._lag.seconds,
        )
        self._metrics.gauges(
            "modelrunner_watch_last_event_age_seconds",
            "Seconds since a watch last told something; large at rest, which is fine.",
            "resource",
            lambda: {} if self._leadership is None else self._leadership.intake.ages(),
        )
        self._metrics.gauges("modelrunner_models", "Models by phase.", "phase", self._phases)

    def _phases(self) -> dict[str, float]:
        phases = Counter(
            str((model.get("status") or {}).get("phase") or "Unknown")
            for model in self._store.list(MODELS)
        )
        return {phase: float(count) for phase, count in phases.items()}


async def serve(settings: OperatorSettings, build: Build) -> int:
    """Run one operator process in this loop, logs included; gives the exit status."""
    configure(settings.log_level)
    try:
        return await OperatorProcess(settings, build).run()
    except (ConnectionSettingsError, OSError) as error:
        _log.critical("the operator cannot start: %s", error)
        return FAILED


async def _cancelled(*tasks: "asyncio.Task[None] | asyncio.Task[bool]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
