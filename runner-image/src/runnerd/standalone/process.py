"""A stand-alone server from its first connection to its end."""

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from typing import Final
from weakref import WeakSet

from modelrunner_protocol.wire import RunConfig
from runnerd.engines.cgroup import Cgroup
from runnerd.engines.command import find_llama_server
from runnerd.engines.reaper import reap_orphans
from runnerd.logs import fields
from runnerd.responses.store import Store
from runnerd.server.connection import Server
from runnerd.server.gate import Gate
from runnerd.server.intake import Intake
from runnerd.server.port import LAST_WRITES, Port, first, settle
from runnerd.server.served import Served
from runnerd.server.shelf import Shelf
from runnerd.standalone.beginning import Beginning
from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.catalogue.pulls import Pulls
from runnerd.standalone.catalogue.pushes import Pushes
from runnerd.standalone.catalogue.sources import Sources
from runnerd.standalone.catalogue.stored import Stored
from runnerd.standalone.front import Front
from runnerd.standalone.inference import Inferences
from runnerd.standalone.lists import Lists
from runnerd.standalone.machine import engine_slots, has_own_memory, memory_budget
from runnerd.standalone.management.logs import LogTail
from runnerd.standalone.management.pages import Management
from runnerd.standalone.management.recorder import Recorder
from runnerd.standalone.pool import Pool, inherited, maker
from runnerd.standalone.probes import Probes
from runnerd.standalone.responses import response_pages
from runnerd.standalone.settings import ServeSettings
from runnerd.standalone.telemetry import Exposition, ServerMetrics
from runnerd.weights.clock import SystemClock
from runnerd.weights.settings import Settings as PullSettings

log = logging.getLogger(__name__)

_LINGER: Final = 0.5
_UNMANAGED: Final = "models are not made or uploaded here: package them with `runnerd package`"


def _sources(settings: ServeSettings, catalogue: Catalogue, patience: PullSettings) -> Sources:
    return Sources(
        names=catalogue.names,
        settings=patience,
        clock=SystemClock(),
        insecure=settings.insecure_registry,
    )


class StandAlone:
    """The parts of one server, put together."""

    def __init__(
        self,
        settings: ServeSettings,
        listener: socket.socket,
        *,
        catalogue: Catalogue,
        patience: PullSettings,
        tail: LogTail | None = None,
        on_listening: Callable[[int], None] | None = None,
    ) -> None:
        """Put them together, inside the event loop. `on_listening` gets the port."""
        self._settings = settings
        self._listener = listener
        self._on_listening = on_listening
        self._stopping = False
        limits = settings.engine
        bounds = {"max_in_flight": limits.max_in_flight, "max_held": limits.max_held}
        self._gate = Gate(**bounds, now=time.time)
        responses = Store(limits.max_stored, time.monotonic)
        budget = _budget(settings)
        variables = inherited(os.environ, budget)
        self._engines = _Engines(maker(limits, responses, variables))
        self._pool = pool = _pool(settings, self._engines.make, catalogue.find, budget, variables)
        sources = _sources(settings, catalogue, patience)
        self._pulls = Pulls(catalogue, sources)
        self._beginning = Beginning(settings.models, catalogue, self._pulls, pool)
        recorder = Recorder(enabled=settings.record)
        self._management = Management(
            catalogue=catalogue,
            pulls=self._pulls,
            pushes=Pushes(catalogue, sources),
            pool=pool,
            recorder=recorder,
            tail=tail,
            program=find_llama_server(limits.llama_server),
        )
        lists, metrics = Lists(catalogue, pool), ServerMetrics()
        inferences = Inferences(
            catalogue=catalogue,
            pool=pool,
            intake=Intake(limits, self._gate, metrics.answered),
            recorder=recorder,
            default_model=settings.default_model,
            stopping=lambda: self._stopping,
        )
        pages = [*self._probes().pages(), *lists.pages(), *response_pages(responses)]
        if settings.metrics:
            pages += Exposition(metrics, self._gate, catalogue, pool).pages()
        pages += self._management.pages
        self._front = Front(settings.origins, inferences, pages, Shelf(lists, _UNMANAGED))

    def _probes(self) -> Probes:
        return Probes(lambda: self._beginning.missing, lambda: self._stopping)

    async def serve(self, stop: asyncio.Event) -> bool:
        """Serve until `stop` is set, then drain; set it a second time to hasten.

        Returns:
            Whether it ended as wanted: not because of an error of ours, which is in the log.
        """
        if os.getpid() == 1:
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGCHLD, reap_orphans, self._engines.claim)
        port = await self._listen()
        beginning = asyncio.create_task(self._beginning.run())
        beginning.add_done_callback(lambda task: _report(task, stop))
        settle()
        try:
            await stop.wait()
            stop.clear()
            await self._leave(port, stop)
        finally:
            beginning.cancel()
            await asyncio.wait({beginning})
            await self._management.close()
            await self._pulls.close()
            await self._pool.close(0)
        log.info("stopped")
        return beginning.cancelled() or beginning.exception() is None

    async def _listen(self) -> Port:
        server = Server(self._front.answer, self._settings.engine.idle_timeout, self._front.sign)
        port = Port(self._listener, server)
        number = await port.open()
        log.info(
            "listening",
            extra=fields(
                port=number,
                models=str(self._settings.models_path),
                openai=f"http://localhost:{number}/v1",
                ollama=f"http://localhost:{number}",
                anthropic=f"http://localhost:{number}/anthropic",
            ),
        )
        if self._on_listening:
            self._on_listening(number)
        return port

    async def _leave(self, port: Port, hasten: asyncio.Event) -> None:
        """Finish what is inside, end the engines, then the port."""
        self._stopping = True
        log.info("draining", extra=fields(in_flight=self._gate.in_flight))
        timeout = self._settings.drain_timeout
        await first(self._gate.until_idle(), hasten.wait(), timeout=timeout)
        if self._gate.in_flight:
            log.warning("requests are cut off", extra=fields(in_flight=self._gate.in_flight))
        await self._pool.close(self._settings.engine.stop_grace)
        await first(self._gate.until_idle(), timeout=LAST_WRITES)
        await port.close(_LINGER)


class _Engines:
    """Every engine that was made and is not forgotten, for whoever buries the dead."""

    def __init__(self, make: Callable[[RunConfig], Served]) -> None:
        self._make = make
        self._made: WeakSet[Served] = WeakSet()

    def make(self, config: RunConfig) -> Served:
        served = self._make(config)
        self._made.add(served)
        return served

    def claim(self, pid: int) -> bool:
        """Whether a dead process is one of the engines."""
        return any(served.engine.claim(pid) for served in list(self._made))


def _budget(settings: ServeSettings) -> int | None:
    """Bytes for engines; None where a device has memory that nobody knows of."""
    if settings.memory is not None or (settings.engine.gpu_layers and has_own_memory()):
        return settings.memory
    return memory_budget(Cgroup())


def _pool(
    settings: ServeSettings,
    make: Callable[[RunConfig], Served],
    find: Callable[[str], Stored | None],
    budget: int | None,
    variables: Mapping[str, str],
) -> Pool:
    limits = settings.engine
    slots = settings.slots or engine_slots(Cgroup())
    log.info("engines", extra=fields(slots=slots, memory=budget, keep_alive=settings.keep_alive))
    return Pool(
        slots=slots,
        budget=budget,
        make=make,
        find=find,
        default_keep_alive=settings.keep_alive,
        max_waiting=settings.max_waiting,
        wait_timeout=settings.wait_timeout,
        startup_timeout=settings.startup_timeout,
        stop_grace=limits.stop_grace,
        llama_args=limits.llama_args,
        environment=variables,
    )


def _report(task: "asyncio.Task[None]", stop: asyncio.Event) -> None:
    if not task.cancelled() and (error := task.exception()):
        # An error of ours: without its first models this server is not what was asked for.
        log.critical("the first models cannot be brought", exc_info=error)
        stop.set()
