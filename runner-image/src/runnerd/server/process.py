"""A runner from the moment its engine is started: listen, supervise, drain, end."""

import asyncio
import contextlib
import gc
import logging
import os
import random
import signal
import socket
import time
from collections.abc import Callable
from typing import Final, Protocol

from aiohttp import web

from modelrunner_protocol.wire import RunConfig
from runnerd.config import Settings
from runnerd.engines import upstream
from runnerd.engines.cgroup import Cgroup
from runnerd.engines.child import Child
from runnerd.engines.reaper import reap_orphans
from runnerd.engines.restarts import Backoff, Delays
from runnerd.engines.supervisor import Supervisor
from runnerd.logs import fields
from runnerd.server.door import Door
from runnerd.server.gate import Gate
from runnerd.server.proxy import Proxy
from runnerd.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

# At the engine beyond its slots: the next request is parsed while the last one ends. Fewer than
# llama-server's spare HTTP threads, which answer /health and /metrics.
_AHEAD: Final = 2
_LAST_WRITES: Final = 1.0


class Launch(Protocol):
    """How engines are started; see `runnerd.engines.launch.Launcher`."""

    cgroup: Cgroup
    socket: str
    first: Child | OSError

    def start(self) -> Child:
        """Start one more."""
        ...


class Runner:
    """The parts of one runner, put together."""

    def __init__(
        self,
        config: RunConfig,
        settings: Settings,
        launch: Launch,
        listener: socket.socket,
        *,
        started_at: float,
        delays: Delays | None = None,
        on_listening: Callable[[int], None] | None = None,
    ) -> None:
        """Put them together, inside the event loop. `on_listening` gets the port."""
        self._config = config
        self._settings = settings
        self._launch = launch
        self._listener = listener
        self._on_listening = on_listening
        self._metrics = Metrics(config)
        self._gate = Gate(
            max_in_flight=settings.max_in_flight, max_held=settings.max_held, now=time.time
        )
        # Room beside the proxied requests for health, metrics and the warm-up.
        self._session = upstream.connect(launch.socket, settings.max_in_flight + 8)
        self._engine = Supervisor(
            config,
            start=launch.start,
            session=self._session,
            metrics=self._metrics,
            cgroup=launch.cgroup,
            backoff=Backoff(delays or Delays(), random.random),
            hang_timeout=settings.hang_timeout,
            on_ready=lambda slots: self._gate.open(slots + _AHEAD),
        )
        self._door = Door(
            config,
            settings,
            engine=self._engine,
            gate=self._gate,
            proxy=Proxy(self._session, self._engine, self._metrics, settings.retry_wait),
            metrics=self._metrics,
            started_at=started_at,
        )

    async def serve(self, stop: asyncio.Event) -> bool:
        """Serve until `stop` is set, then drain; set it a second time to hasten.

        Returns:
            Whether it ended as wanted: not because of an error of ours, which is in the log.
        """
        if os.getpid() == 1:
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGCHLD, reap_orphans, self._engine.claim)
        life = asyncio.create_task(self._engine.run(self._launch.first))
        life.add_done_callback(lambda task: _report(task, stop))
        try:
            runner = await self._listen()
            # What was imported stays, and requests leave no cycles behind: a collector that
            # looks seldom and at little spares them pauses.
            gc.freeze()
            gc.set_threshold(20_000, 20, 50)
            gc.enable()
            await stop.wait()
            stop.clear()
            await self._drain(stop)
            await self._engine.stop(self._settings.stop_grace)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WRITES):
                    await self._gate.until_idle()
            await runner.cleanup()
        finally:
            await self._engine.stop(0)
            life.cancel()
            await asyncio.wait({life})
            await self._session.close()
        log.info("stopped")
        return life.cancelled() or life.exception() is None

    async def _listen(self) -> web.ServerRunner:
        server = web.Server(
            self._door.answer,
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=self._settings.idle_timeout,
            lingering_time=2.0,
        )
        runner = web.ServerRunner(server, shutdown_timeout=_LAST_WRITES)
        await runner.setup()
        await web.SockSite(runner, self._listener, backlog=1024).start()
        self._door.listening_at = time.time()
        port = runner.addresses[0][1]
        log.info("listening", extra=fields(port=port))
        if self._on_listening:
            self._on_listening(port)
        return runner

    async def _drain(self, hasten: asyncio.Event) -> None:
        """Wait until nobody is inside, not longer than the configuration allows."""
        self._engine.drain()
        log.info("draining", extra=fields(in_flight=self._gate.in_flight))
        linger = self._settings.drain_linger

        async def empty() -> None:
            await asyncio.sleep(linger)
            await self._gate.until_idle()

        async def hurried() -> None:
            await hasten.wait()

        waiting = {asyncio.create_task(empty()), asyncio.create_task(hurried())}
        _, pending = await asyncio.wait(
            waiting,
            timeout=max(linger, self._config.drain_timeout),
            return_when=asyncio.FIRST_COMPLETED,
        )
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        if self._gate.in_flight:
            log.warning("requests are cut off", extra=fields(in_flight=self._gate.in_flight))


def _report(task: "asyncio.Task[None]", stop: asyncio.Event) -> None:
    if not task.cancelled() and (error := task.exception()):
        # An error of ours: without a supervisor this process is of no use.
        log.critical("the supervisor failed", exc_info=error)
        stop.set()
