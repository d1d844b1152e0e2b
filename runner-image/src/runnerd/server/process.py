"""A runner from the moment its engine is started: listen, supervise, drain, end."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable

from modelrunner_protocol.wire import RunConfig
from runnerd.config import Settings
from runnerd.engines.reaper import reap_orphans
from runnerd.engines.restarts import Delays
from runnerd.logs import fields
from runnerd.server.connection import Server
from runnerd.server.door import Door
from runnerd.server.port import LAST_WRITES, Port, first, settle
from runnerd.server.served import Launch, Served

log = logging.getLogger(__name__)


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
        self._listener = listener
        self._on_listening = on_listening
        self._served = Served(config, settings, launch, delays=delays)
        self._engine, self._gate = self._served.engine, self._served.gate
        self._door = Door(settings, self._served, started_at=started_at)

    async def serve(self, stop: asyncio.Event) -> bool:
        """Serve until `stop` is set, then drain; set it a second time to hasten.

        Returns:
            Whether it ended as wanted: not because of an error of ours, which is in the log.
        """
        if os.getpid() == 1:
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGCHLD, reap_orphans, self._engine.claim)
        life = asyncio.create_task(self._served.run())
        life.add_done_callback(lambda task: _report(task, stop))
        try:
            port = await self._listen()
            settle()
            await stop.wait()
            stop.clear()
            await self._leave(port, stop)
        finally:
            await self._served.stop(0)
            life.cancel()
            await asyncio.wait({life})
        log.info("stopped")
        return life.cancelled() or life.exception() is None

    async def _listen(self) -> Port:
        port = Port(self._listener, Server(self._door.answer, self._settings.idle_timeout))
        number = await port.open()
        self._door.listening()
        log.info("listening", extra=fields(port=number))
        if self._on_listening:
            self._on_listening(number)
        return port

    async def _leave(self, port: Port, hasten: asyncio.Event) -> None:
        """Finish what is inside, end the engine, and be there for a while to say so.

        Others learn late that this runner goes: the engine's memory is given back meanwhile.
        """
        lingered = asyncio.get_running_loop().time() + self._settings.drain_linger
        self._engine.drain()
        self._door.stopping()
        log.info("draining", extra=fields(in_flight=self._gate.in_flight))
        await first(self._gate.until_idle(), hasten.wait(), timeout=self._config.drain_timeout)
        if self._gate.in_flight:
            log.warning("requests are cut off", extra=fields(in_flight=self._gate.in_flight))
        await self._engine.stop(self._settings.stop_grace)
        await first(self._gate.until_idle(), timeout=LAST_WRITES)
        left = lingered - asyncio.get_running_loop().time()
        await first(hasten.wait(), timeout=max(left, 0))
        await port.close(self._settings.drain_linger)


def _report(task: "asyncio.Task[None]", stop: asyncio.Event) -> None:
    if not task.cancelled() and (error := task.exception()):
        # An error of ours: without a supervisor this process is of no use.
        log.critical("the supervisor failed", exc_info=error)
        stop.set()
