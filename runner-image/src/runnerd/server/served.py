"""One model in one mode: its engine, the gate before it, and the way to it."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from aiohttp import web

from modelrunner_protocol.wire import RunConfig
from runnerd.config import Settings
from runnerd.engines import upstream
from runnerd.engines.cgroup import Cgroup
from runnerd.engines.child import Child
from runnerd.engines.restarts import Backoff, Delays
from runnerd.engines.supervisor import Supervisor
from runnerd.ollama.asked import Asked
from runnerd.responses.store import Store
from runnerd.server import answers
from runnerd.server.checks import Accepted, Checks
from runnerd.server.dialects import Dialect, Rejection
from runnerd.server.gate import Gate
from runnerd.server.proxy import Proxy
from runnerd.server.ranker import Ranked, Ranker
from runnerd.server.responding import Prepared, Responder
from runnerd.server.routes import RERANK, SCORE, Inference
from runnerd.server.translation import Translator
from runnerd.telemetry.metrics import Metrics

# At the engine beyond its slots: the next request is parsed while the last one ends. Fewer than
# llama-server's spare HTTP threads, which answer /health and /metrics.
_AHEAD: Final = 2


class Launch(Protocol):
    """How engines are started; see `runnerd.engines.launch.Launcher`."""

    cgroup: Cgroup
    socket: str

    @property
    def first(self) -> Child | OSError | None:
        """The engine that was started before there was anybody to supervise it."""
        ...

    def start(self) -> Child:
        """Start one more."""
        ...

    def remove_socket(self) -> None:
        """Remove the file that the last one listened on, if there is one."""
        ...


class Served:
    """The parts around one engine, put together.

    `keep_alive` is what the newest request that named one asked for (seconds, negative: for ever).
    """

    def __init__(
        self,
        config: RunConfig,
        settings: Settings,
        launch: Launch,
        *,
        delays: Delays | None = None,
        store: Store | None = None,
        knows: Callable[[str], bool] | None = None,
    ) -> None:
        """Put them together, inside the event loop; nothing is started yet.

        `store` keeps responses, where several engines have one together; `knows` says which
        names are this model's, where others than the configuration's are.
        """
        self.config = config
        self._launch = launch
        self.metrics = Metrics(config)
        self.gate = Gate(
            max_in_flight=settings.max_in_flight, max_held=settings.max_held, now=time.time
        )
        # Room beside the proxied requests for health, metrics and the warm-up.
        connections = settings.max_in_flight + 8
        self.session = upstream.connect(launch.socket, connections)
        self._fresh = upstream.connect_anew(launch.socket, connections)
        self.engine = Supervisor(
            config,
            start=launch.start,
            session=self.session,
            metrics=self.metrics,
            cgroup=launch.cgroup,
            backoff=Backoff(delays or Delays(), random.random),
            hang_timeout=settings.hang_timeout,
            on_ready=lambda slots: self.gate.open(slots + _AHEAD),
        )
        self.checks = Checks(config, knows)
        self.proxy = Proxy(
            self.session,
            self._fresh,
            self.engine,
            self.metrics,
            retry_wait=settings.retry_wait,
            model=config.model,
        )
        self.translator = Translator(self.checks, self.proxy, self.engine)
        # Not by its truth: an empty one is false.
        own = Store(settings.max_stored, time.monotonic)
        self.store = own if store is None else store
        self.responder = Responder(config.model, self.checks, self.proxy, self.engine, self.store)
        self.ranker = Ranker(config.model, self.proxy)
        self.keep_alive: float | None = None
        self._life: asyncio.Task[Any] | None = None

    async def run(self) -> None:
        """Supervise the engine until it is stopped or given up; start it if nobody has."""
        self._life = asyncio.current_task()
        await self.engine.run(self._launch.first)

    async def answer(
        self,
        request: web.BaseRequest,
        route: Inference,
        raw: bytes,
        request_id: str,
        *,
        arrived: float,
    ) -> web.StreamResponse:
        """The answer to a request whose body is `raw`.

        The caller has entered the gate, and leaves it. `arrived`: when the request came
        (monotonic), which Ollama's clients are told.
        """
        found = self._understood(request, route, raw)
        if isinstance(found, Rejection):
            return answers.rejection(found, route.dialect)
        if found.keep_alive is not None:
            self.keep_alive = found.keep_alive
            self.metrics.overridden()
        if isinstance(found, Asked) and not found.path:
            return self.translator.at_once(found)
        await self.gate.turn()
        try:
            if isinstance(found, Accepted):
                return await self.proxy.forward(request, route, found, request_id)
            if isinstance(found, Ranked):
                return await self.ranker.answer(request, route, found, request_id)
            if isinstance(found, Prepared):
                return await self.responder.answer(request, route, found, request_id)
            waited = time.monotonic() - arrived
            return await self.translator.answer(request, route, found, request_id, waited=waited)
        finally:
            self.gate.done()

    async def stop(self, grace: float) -> None:
        """End the engine, SIGTERM and SIGKILL after `grace` seconds, and all that is around it.

        The task that is in `run` is cancelled.
        """
        await self.engine.stop(grace)
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait({self._life})
        await self.session.close()
        await self._fresh.close()
        self._launch.remove_socket()

    def _understood(
        self, request: web.BaseRequest, route: Inference, raw: bytes
    ) -> Accepted | Asked | Prepared | Ranked | Rejection:
        if route.dialect is Dialect.RESPONSES:
            return self.responder.prepared(request, raw)
        meant = self.checks.is_meant(request.headers)
        if route.kind is not None:
            return self.translator.asked(route.kind, raw, meant=meant)
        accepted = self.checks.body(route, raw, meant=meant)
        if (route is RERANK or route is SCORE) and isinstance(accepted, Accepted):
            return self.ranker.asked(route, accepted)
        return accepted
