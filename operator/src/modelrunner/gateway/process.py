"""The gateway process: from its settings to its last answer.

Order of things: admin port → watches → models and endpoints (and API keys) are listed → public
port, ready → SIGTERM: not ready, but all is answered for `drain_delay` → nothing new is accepted,
what is in flight ends, for at most `drain_timeout` → exit 0.

Before the first list nothing is served: a model that is not known yet would be told as one that
does not exist. Once listed, the API server may go away: what is known goes on being served.

Rights the process needs (RBAC), besides discovery:

    in the watched namespaces (a ClusterRole without MODELRUNNER_WATCH_NAMESPACES):
        modelrunner.dev models                      get list watch
        discovery.k8s.io endpointslices             get list watch
        apps deployments/scale                      get patch       (an admission policy: 0→1 only)
    in its own namespace, with API keys only:
        core secrets                                get list watch
    in the namespace of MODELRUNNER_GATEWAY_MANAGEMENT_NAMESPACE, with management only:
        modelrunner.dev models                      create patch delete
"""

import asyncio
import gc
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from aiohttp import web

from modelrunner.gateway.auth.feed import KeyFeed
from modelrunner.gateway.auth.keyring import KeyRing
from modelrunner.gateway.auth.limits import Limits
from modelrunner.gateway.backoffice.application import Probes, admin, back_office
from modelrunner.gateway.backoffice.catalogue import Catalogue
from modelrunner.gateway.backoffice.standing import Standing
from modelrunner.gateway.hold.holds import Holds
from modelrunner.gateway.hold.rests import Rests
from modelrunner.gateway.hold.runners import HttpRunners
from modelrunner.gateway.hold.scaling import DeploymentScaler
from modelrunner.gateway.http.allocator import keep_freed_memory
from modelrunner.gateway.http.front import Front
from modelrunner.gateway.http.settings import FrontSettings
from modelrunner.gateway.management.management import Management
from modelrunner.gateway.management.objects import Terms
from modelrunner.gateway.messages import Decider, Endpoint
from modelrunner.gateway.routing.origins import OriginCheck
from modelrunner.gateway.routing.router import Router
from modelrunner.gateway.settings import GatewaySettings
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.gateway.table.feed import TableFeed
from modelrunner.gateway.table.table import RouteTable
from modelrunner.gateway.telemetry.access_log import AccessLog
from modelrunner.gateway.telemetry.exposition import Exposition, Sources
from modelrunner.gateway.telemetry.line_writer import LineWriter
from modelrunner.gateway.telemetry.meters import Meters
from modelrunner.kube.client import KubeClient
from modelrunner.kube.connection import ConnectionSettingsError
from modelrunner.telemetry.lag import LoopLag
from modelrunner.telemetry.logs import configure
from modelrunner.telemetry.probes import serving, serving_socket
from modelrunner_protocol.origins import parse_origins

OK: Final = 0
FAILED: Final = 1
_NAME: Final = "model-runner-gateway"
_LAG_TICK: Final = 0.25
_LAST_WORDS: Final = 2.0
"""Seconds for answers to those who were held to the end."""

_LAST_SECONDS: Final = 10.0
_FILES: Final = 2
"""Per client connection: its own, and one to a runner."""

_OTHER_FILES: Final = 256

_log = logging.getLogger(__name__)


class GatewayProcess:
    """One gateway process, to be made in a running loop. `run` gives the exit status."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._table = RouteTable()
        self._lines = (
            None if settings.access_log < 0 else LineWriter(sys.stdout.fileno(), self._loop)
        )
        log = AccessLog(settings.access_log, self._lines.write) if self._lines else None
        self._meters = Meters(log)
        build = {"version": version("model-runner-operator"), "loop": _loop_name(self._loop)}
        self._sources = Sources(self._table.models, self._loop.time, build)
        self._exposition = Exposition(self._meters, self._sources)
        self._lag = LoopLag(_LAG_TICK, self._sources.lag.observe)
        self._table.subscribe(self._changed)

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT (0) or a failure (1)."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._signalled, number)
        try:
            async with AsyncExitStack() as stack:
                client = await stack.enter_async_context(
                    await KubeClient.connected(user_agent=_NAME, writes=self._exposition.writes)
                )
                return await self._work(stack, client)
        finally:
            if self._lines is not None:
                self._lines.close()

    async def _work(self, stack: AsyncExitStack, client: KubeClient) -> int:
        settings = self._settings
        feed = TableFeed(client, self._table, settings.watch_namespaces)
        ring = KeyRing() if settings.api_keys else None
        keys = KeyFeed(client, settings.pod_namespace, ring) if ring is not None else None
        standing = Standing(feed, keys, self._lag, lambda: len(self._table.models()))
        self._measure_feeds(feed, standing)
        probes = Probes(
            self._sources.build["version"], standing.live, standing.ready, self._exposition.render
        )
        admin_port = await stack.enter_async_context(
            serving(admin(probes), settings.admin_host, settings.admin_port)
        )
        _log.info("started", extra={"adminPort": admin_port, **self._sources.build})
        runs = [self._lag.run(), feed.run()] + ([keys.run()] if keys is not None else [])
        tasks = {asyncio.create_task(run) for run in runs}
        stack.push_async_callback(_cancelled, *tasks)
        listed = asyncio.create_task(_listed(feed, keys))
        stopped = asyncio.create_task(self._stop.wait())
        stack.push_async_callback(_cancelled, listed, stopped)
        await asyncio.wait({listed, stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        if listed.done():
            doors = await stack.enter_async_context(self._doors(client, ring, probes))
            standing.serving = True
            # What was imported stays: a full collection that walks over it takes 50 ms, in which
            # nobody is answered.
            gc.collect()
            gc.freeze()
            keep_freed_memory()
            await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            standing.draining = True
            await self._drain(*doors)
        return OK if stopped.done() else _failed(tasks)

    @asynccontextmanager
    async def _doors(
        self, client: KubeClient, ring: KeyRing | None, probes: Probes
    ) -> AsyncIterator[tuple[Front, Holds]]:
        """The public port, open while inside, and everything behind it."""
        settings = self._settings
        # Private: whoever reaches the socket is taken for the front.
        with TemporaryDirectory(prefix=f"{_NAME}-") as folder:
            office = str(Path(folder, "back-office"))
            async with (
                HttpRunners(settings.pod_name) as runners,
                serving_socket(self._back_office(client, runners, probes), office),
            ):
                rests = Rests()
                holds = Holds(
                    self._table,
                    runners=runners,
                    scaler=DeploymentScaler(client),
                    meters=self._meters,
                    rests=rests,
                    max_bytes=settings.max_held_bytes,
                )
                router = Router(
                    self._table,
                    holds=holds,
                    rests=rests,
                    limits=Limits(),
                    meters=self._meters,
                    back_office=Endpoint("back-office", office),
                    keys=ring,
                )
                decider: Decider = router
                if settings.origins:
                    decider = OriginCheck(router, parse_origins(settings.origins))
                front = Front(decider, _front_settings(settings))
                self._measure_doors(front, holds)
                try:
                    port = await front.listen(settings.host, settings.port)
                    _log.info("serving", extra={"port": port, "models": len(self._table.models())})
                    yield front, holds
                finally:
                    await front.drain(0)
                    await holds.close()

    def _back_office(
        self, client: KubeClient, runners: HttpRunners, probes: Probes
    ) -> web.Application:
        settings = self._settings
        management = None
        if settings.management:
            insecure = frozenset(settings.insecure_registries)
            terms = Terms(settings.home, settings.management_runner, insecure)
            management = Management(client, self._table, terms, runners)
        return back_office(probes, Catalogue(self._table), runners, management)

    async def _drain(self, front: Front, holds: Holds) -> None:
        settings = self._settings
        front.announce_end()
        await asyncio.sleep(settings.drain_delay)
        _log.info("draining", extra={"connections": front.connections, "held": holds.held})
        last = self._loop.call_later(settings.drain_timeout, holds.give_up)
        whole = await front.drain(settings.drain_timeout + _LAST_WORDS)
        last.cancel()
        if not whole:
            _log.warning("broke off what was not done after %.0f s", settings.drain_timeout)

    def _signalled(self, number: int) -> None:
        settings = self._settings
        if not self._stop.is_set():
            _log.info("stopping: %s", signal.Signals(number).name)
            _deadline(settings.drain_delay + settings.drain_timeout + _LAST_SECONDS)
        self._stop.set()

    def _changed(self, entry: ModelEntry) -> None:
        if entry.gone:
            self._meters.drop(entry)

    def _measure_feeds(self, feed: TableFeed, standing: Standing) -> None:
        def counted(name: str) -> Callable[[], float]:
            return lambda: sum(getattr(watch.counts, name) for watch in feed.watches)

        self._sources.gauges |= {
            "ready": ("1 while this replica is ready, else 0.", lambda: float(standing.ready().ok)),
            "models": ("Models that are known.", lambda: len(self._table.models())),
            "table_age_seconds": (
                "Seconds since the most silent watch heard of the API server; a minute is usual.",
                lambda: feed.age,
            ),
        }
        self._sources.counters |= {
            f"watch_{name}_total": (text, counted(name))
            for name, text in (
                ("lists", "Lists of a whole collection."),
                ("events", "Changes that watches told."),
                ("failures", "Lists and watches that failed."),
                ("refused", "Objects that could not be read."),
            )
        }

    def _measure_doors(self, front: Front, holds: Holds) -> None:
        self._sources.gauges |= {
            "connections": ("Open connections of clients.", lambda: front.connections),
            "upstream_connections": (
                "Connections to runners and to the back office, busy and spare.",
                lambda: front.pool.connections,
            ),
            "held_bytes": ("Memory that held requests take.", lambda: holds.held_bytes),
        }
        if (lines := self._lines) is not None:
            text = "Lines of the access log that nobody took."
            self._sources.counters["access_log_dropped_total"] = (text, lambda: lines.dropped)


def run(settings: GatewaySettings) -> int:
    """Run one gateway process in a loop of its own, logs included; gives the exit status."""
    configure(settings.log_level)
    _allow_files(settings.max_connections)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_run(settings))
    except (ConnectionSettingsError, OSError) as error:
        _log.critical("the gateway cannot start: %s", error)
        return FAILED


async def _run(settings: GatewaySettings) -> int:
    return await GatewayProcess(settings).run()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Uvloop's where it is installed: a third less CPU for each request."""
    try:
        import uvloop  # noqa: PLC0415 - optional, and only the gateway wants it
    except ImportError:
        return None
    return uvloop.new_event_loop


def _loop_name(loop: asyncio.AbstractEventLoop) -> str:
    return type(loop).__module__.partition(".")[0]


def _front_settings(settings: GatewaySettings) -> FrontSettings:
    return FrontSettings(
        header_limit=settings.max_header_bytes,
        body_limit=settings.max_body_bytes,
        total_body_limit=settings.max_buffered_bytes,
        max_connections=settings.max_connections,
        header_timeout=settings.header_timeout,
        body_timeout=settings.body_timeout,
        idle_timeout=settings.idle_timeout,
        connect_timeout=settings.connect_timeout,
        first_byte_timeout=settings.first_byte_timeout,
        stall_timeout=settings.stall_timeout,
        upstream_idle_timeout=settings.upstream_idle_timeout,
    )


def _allow_files(connections: int) -> None:
    """Ask for as many open files as the connections need; what is missing is told."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections * _FILES + _OTHER_FILES
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if allowed < needed:
        _log.warning(
            "%d connections may need %d open files, but %d are allowed", connections, needed, hard
        )
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


async def _listed(feed: TableFeed, keys: KeyFeed | None) -> None:
    await feed.synced.wait()
    if keys is not None:
        await keys.synced.wait()


def _failed(tasks: "Collection[asyncio.Task[None]]") -> int:
    for task in tasks:
        if task.done() and not task.cancelled() and (error := task.exception()):
            _log.critical("stopping: %s", error, exc_info=error)
    return FAILED


def _deadline(seconds: float) -> None:
    """End the process in `seconds`, whatever still hangs then."""
    timer = threading.Timer(seconds, os._exit, (FAILED,))
    timer.daemon = True
    timer.start()


async def _cancelled(*tasks: "asyncio.Task[None] | asyncio.Task[bool]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
