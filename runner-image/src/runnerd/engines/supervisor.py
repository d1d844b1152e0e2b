"""The life of the engine: start, readiness, end, and what follows from it."""

import asyncio
import contextlib
import errno
import logging
import signal
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from aiohttp import ClientError, ClientSession

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.runner import RunnerState
from modelrunner_protocol.wire import RunConfig
from runnerd.engines import upstream
from runnerd.engines.cgroup import Cgroup
from runnerd.engines.child import Child
from runnerd.engines.failure import Failure, classify, with_lines
from runnerd.engines.output import Output, plain, severity
from runnerd.engines.properties import UNKNOWN
from runnerd.engines.reaper import ended
from runnerd.engines.restarts import Backoff
from runnerd.logs import fields
from runnerd.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

DEFAULT_SLOTS: Final = 4
_CHECKS: Final = 6
"""How often a ready engine is asked within the time that it may be silent."""

_LAST_LINE_WAIT: Final = 0.5
# A broken connection is seen a moment before the death that broke it.
_SETTLE: Final = 0.25
_PERMANENT: Final = {errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.EPERM, errno.ENOTDIR}
_ON_THE_WAY: Final = {RunnerState.LOADING, RunnerState.WARMING}
_FINAL: Final = "It is not started again: change the Model or its ModelRunner"


class Supervisor:
    """Keeps one engine running; knows whether requests can be sent to it, and else why not.

    `epoch` counts the starts of the engine. `failure` is its last one, kept until it is ready.
    `heard_at` is when it last gave a sign of life (monotonic); the proxy notes its bytes there.
    `slots` is how many requests the newest ready engine works on at once; `properties` is what
    it said of itself.
    """

    def __init__(
        self,
        config: RunConfig,
        *,
        start: Callable[[], Child],
        session: ClientSession,
        metrics: Metrics,
        cgroup: Cgroup,
        backoff: Backoff,
        hang_timeout: float,
        on_ready: Callable[[int], None],
    ) -> None:
        """Nothing is started yet; `hang_timeout` seconds of silence end a ready engine, 0 never."""
        self._config = config
        self._start = start
        self._session = session
        self._metrics = metrics
        self._cgroup = cgroup
        self._backoff = backoff
        self._hang_timeout = hang_timeout
        self._on_ready = on_ready
        self._child: Child | None = None
        self._phase = RunnerState.LOADING
        self._changed = asyncio.Event()
        self._ended: tuple[int, str] | None = None
        self.draining = False
        self.epoch = 0
        self.heard_at = 0.0
        self.restarts = 0
        self.slots: int | None = None
        self.properties = UNKNOWN
        self.failure: Failure | None = None
        self.engine_ready_at: float | None = None
        self.warmed_at: float | None = None

    @property
    def state(self) -> RunnerState:
        """What the runner says of itself."""
        return RunnerState.DRAINING if self.draining else self._phase

    @property
    def ready(self) -> bool:
        """Whether the engine answers; true also while draining, for requests let in before."""
        return self._phase is RunnerState.READY

    async def run(self, child: Child | OSError | None) -> None:
        """Supervise `child` and its successors until the engine is given up or stopped.

        Without a child, or a reason why there is none, it starts the first one itself, unless
        it was stopped already.
        """
        if child is None and self.draining:
            return
        child = child or self._try_start()
        while True:
            if isinstance(child, OSError):
                ready_for = None
                failure = Failure(
                    Reason.ENGINE_FAILED, f"llama-server cannot be started: {child.strerror}"
                )
                final = child.errno in _PERMANENT
            else:
                failure, ready_for, final = await self._live(child)
            if self.draining:
                break
            pause = None if final else self._backoff.failed(ready_for)
            self._failed(failure, pause)
            if pause is None:
                return
            await asyncio.sleep(pause)
            if self.draining:
                break
            self.restarts += 1
            self._metrics.restarted(failure.reason)
            child = self._try_start()
        # Whoever still waits for this engine is sent elsewhere.
        self._phase = RunnerState.DRAINING
        self._signal()

    def claim(self, pid: int) -> bool:
        """Whether this dead process is the engine; if so, its status is taken."""
        if self._child is None or self._child.pid != pid:
            return False
        return self._child.poll() is not None

    def changed(self) -> Coroutine[Any, Any, object]:
        """A wait that ends when `ready`, `failure` or `draining` is another than now."""
        return self._changed.wait()

    async def arrived(self, timeout: float) -> None:
        """Wait, at most `timeout` seconds, while the engine is loading or warming up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self._phase in _ON_THE_WAY and not self.draining:
                    await self._changed.wait()

    async def recovered(self, epoch: int, timeout: float) -> bool:
        """Wait until a request that failed on the engine of `epoch` may be sent again.

        Args:
            epoch: The `epoch` at which the request was sent.
            timeout: Seconds to wait for a new engine.

        Returns:
            False when there is no engine and will be none in that time.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            unchanged = self.epoch == epoch and self.ready
            if self.ready and not unchanged:
                return True
            if self._phase is RunnerState.FAILED or (self.draining and not self.ready):
                return False
            left = deadline - asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(min(_SETTLE, left) if unchanged else left):
                    await self._changed.wait()
            except TimeoutError:
                return unchanged

    async def explained(self, epoch: int) -> str:
        """Why the engine of `epoch` broke a connection, as soon as that is known."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE + _LAST_LINE_WAIT):
                while self._ended is None or self._ended[0] < epoch:
                    await self._changed.wait()
        if self._ended is None or self._ended[0] < epoch:
            return "the engine closed the connection"
        return self._ended[1]

    def drain(self) -> None:
        """From now on the end of the engine is wanted: it is not started again."""
        self.draining = True
        self._signal()

    async def stop(self, grace: float) -> None:
        """End the engine: SIGTERM, and SIGKILL after `grace` seconds."""
        self.draining = True
        if self._child is None or self._child.poll() is not None:
            return
        self._child.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace):
                await ended(self._child)
        except TimeoutError:
            log.warning("the engine did not stop in time and is killed")
            self._child.send(signal.SIGKILL)
            await ended(self._child)

    async def _live(self, child: Child) -> tuple[Failure, float | None, bool]:
        """From a start to its end: the failure, seconds of readiness, whether it is final."""
        self._child = child
        self.epoch += 1
        self.engine_ready_at = self.warmed_at = None
        kills = self._cgroup.oom_kills()
        output = Output(child.output, self._forward)
        exit_ = asyncio.create_task(ended(child))
        preparation = asyncio.create_task(self._prepare(child))
        ready_since: float | None = None
        failure: Failure | None = None
        try:
            left = self._config.startup_timeout - (time.monotonic() - child.started)
            done, _ = await asyncio.wait(
                {exit_, preparation}, timeout=max(left, 0), return_when=asyncio.FIRST_COMPLETED
            )
            if exit_ not in done:
                failure = self._unprepared(preparation, output)
                if failure is None:
                    ready_since = time.monotonic()
                    self._become_ready(preparation.result())
                    failure = await self._hung(exit_, output)
                if failure is not None:
                    child.send(signal.SIGKILL)
            status = await asyncio.shield(exit_)
        finally:
            await _cancelled(preparation, exit_)
            await output.finished(_LAST_LINE_WAIT)
        ready_for = None if ready_since is None else time.monotonic() - ready_since
        if failure is None:
            failure = classify(
                status,
                oom=kills is not None and (self._cgroup.oom_kills() or 0) > kills,
                memory_limit=self._cgroup.memory_limit(),
                lines=output.lines,
                loading=ready_since is None,
            )
        timed_out = failure.reason is Reason.STARTUP_TIMED_OUT and not self._backoff.was_ready
        return failure, ready_for, timed_out

    async def _prepare(self, child: Child) -> int:
        """Return the engine's number of slots once it is healthy and warm."""
        await upstream.until_healthy(self._session)
        self.engine_ready_at = time.time()
        self._metrics.stage("load", time.monotonic() - child.started)
        if self._phase is RunnerState.LOADING:
            self._phase = RunnerState.WARMING
        begin = time.monotonic()
        await upstream.warm_up(self._session, self._config)
        self._metrics.stage("warmup", time.monotonic() - begin)
        self.warmed_at = time.time()
        self.properties = await upstream.properties(self._session)
        return self.properties.slots or DEFAULT_SLOTS

    def _unprepared(self, preparation: "asyncio.Task[int]", output: Output) -> Failure | None:
        if not preparation.done():
            text = f"the engine was not ready within {self._config.startup_timeout:g} s"
            text += " (startupTimeout): give it more time, or look at what it was doing"
            return Failure(Reason.STARTUP_TIMED_OUT, with_lines(text, output.lines))
        error = preparation.exception()
        if error is None:
            return None
        if isinstance(error, upstream.WarmUpRefusedError):
            text = f"the engine refused the warm-up: {error}"
            return Failure(Reason.ENGINE_FAILED, text)
        if isinstance(error, ClientError | OSError):
            text = "the engine broke off the warm-up"
            return Failure(Reason.ENGINE_FAILED, with_lines(text, output.lines))
        raise error

    async def _hung(self, exit_: "asyncio.Task[int]", output: Output) -> Failure | None:
        """Watch a ready engine: what to end it for once it is silent too long; None: it ended.

        A process can live and do nothing, for ever: stopped, or waiting for a dead device.
        """
        limit = self._hang_timeout
        period = limit / _CHECKS
        self.heard_at = time.monotonic()
        while True:
            await asyncio.wait({exit_}, timeout=period or None)
            if exit_.done():
                return None
            # Asked last, so that a pause of our own is not taken for one of the engine's.
            if await upstream.health(self._session, min(period, 5.0)) is not None:
                self.heard_at = time.monotonic()
            elif time.monotonic() - self.heard_at >= limit:
                text = f"the engine did not answer for {limit:g} s and was killed"
                return Failure(Reason.ENGINE_FAILED, with_lines(text, output.lines))

    def _become_ready(self, slots: int) -> None:
        self._phase = RunnerState.READY
        self.failure = None
        self.slots = slots
        self._on_ready(slots)
        self._signal()
        log.info("ready", extra=fields(slots=slots, restarts=self.restarts))

    def _failed(self, failure: Failure, pause: float | None) -> None:
        message = failure.message if pause is not None else f"{failure.message}. {_FINAL}"
        self.failure = Failure(failure.reason, message)
        self._ended = (self.epoch, failure.message)
        self._phase = RunnerState.FAILED if pause is None else RunnerState.RESTARTING
        self._signal()
        log.error(
            "the engine failed", extra=fields(reason=failure.reason, cause=message, pause=pause)
        )

    def _try_start(self) -> Child | OSError:
        try:
            return self._start()
        except OSError as error:
            return error

    def _forward(self, line: str) -> None:
        # A loading engine tells what operators ask for; later it tells of every request.
        level = logging.DEBUG if self.ready or severity(line) == "D" else logging.INFO
        if log.isEnabledFor(level):
            log.log(level, "engine", extra=fields(line=plain(line)))

    def _signal(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


async def _cancelled(*tasks: "asyncio.Task[int]") -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task
