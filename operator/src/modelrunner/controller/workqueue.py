"""The work queue: what is dirty is reconciled, once at a time per key, again after failures.

The life of a key: `add` marks it dirty → a worker takes it → reconcile → clean, or requeued
after a delay, or (exception) requeued after a back-off. A key that gets dirty while it runs is
run once more afterwards. The semantics are those of client-go's workqueue.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, Protocol, TypeVar

from modelrunner.controller.result import Result

K = TypeVar("K", bound=Hashable)
_log = logging.getLogger(__name__)


class QueueObserver(Protocol):
    """Told about each finished reconcile; metrics implement it."""

    def finished(self, key: Hashable, result: str, seconds: float) -> None:
        """`result`: success, requeue or error."""
        ...


class WorkQueue(Generic[K]):
    """Keys waiting for `reconcile`, and the workers that run it. Belongs to one event loop.

    `base` and `cap` bound the back-off in seconds; `jitter` (0..1, uniform) spreads it over the
    upper half of each step. An error that carries `retry_after` seconds is not retried sooner.
    """

    def __init__(
        self,
        reconcile: Callable[[K], Awaitable[Result]],
        *,
        base: float = 0.2,
        cap: float = 300.0,
        jitter: Callable[[], float] = random.random,
        observer: QueueObserver | None = None,
    ) -> None:
        self._reconcile = reconcile
        self._base = base
        self._cap = cap
        self._jitter = jitter
        self._observer = observer
        self._waiting: deque[K] = deque()
        self._since: dict[K, float] = {}
        self._running: dict[K, float] = {}
        self._dirty: dict[K, float] = {}
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False

    def add(self, key: K) -> None:
        """Mark a key dirty; no effect when it waits already or the queue is stopping."""
        if self._stopping:
            return
        now = asyncio.get_running_loop().time()
        if key in self._running:
            self._dirty.setdefault(key, now)
        elif key not in self._since:
            self._since[key] = now
            self._waiting.append(key)
            self._wake.set()

    def add_after(self, key: K, delay: float) -> None:
        """Mark a key dirty in `delay` seconds; of several, the soonest counts."""
        if self._stopping:
            return
        loop = asyncio.get_running_loop()
        when = loop.time() + max(0.0, delay)
        known = self._timers.get(key)
        if known is not None:
            if known.when() <= when:
                return
            known.cancel()
        self._timers[key] = loop.call_at(when, self._due, key)

    def forget(self, key: K) -> None:
        """Drop the key's failures and its timer: the next failure backs off from the start."""
        self._failures.pop(key, None)
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    def depth(self) -> int:
        """How many keys wait for a worker."""
        return len(self._waiting)

    def running(self) -> int:
        """How many reconciles run now."""
        return len(self._running)

    def oldest_waiting(self) -> float:
        """Seconds the longest waiting key has waited for a worker."""
        return self._age(self._since)

    def oldest_running(self) -> float:
        """Seconds the longest running reconcile has run; a hang shows here."""
        return self._age(self._running)

    def oldest_age(self) -> float:
        """The greater of `oldest_waiting` and `oldest_running`, in seconds."""
        return max(self.oldest_waiting(), self.oldest_running())

    async def run(self, workers: int = 16) -> None:
        """Work until `stop`; returns once the running reconciles are done."""
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(self._work(), name=f"reconcile-{number}")

    def stop(self) -> None:
        """Take no new work: what waits is dropped, what runs may finish (see `run`)."""
        self._stopping = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._waiting.clear()
        self._since.clear()
        self._dirty.clear()
        self._wake.set()

    async def drain(self) -> None:
        """Stop, and wait until no reconcile runs any more."""
        self.stop()
        await self._idle.wait()

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)

    async def _work(self) -> None:
        while True:
            while not self._waiting:
                if self._stopping:
                    return
                self._wake.clear()
                await self._wake.wait()
            key = self._waiting.popleft()
            del self._since[key]
            await self._run_one(key)

    async def _run_one(self, key: K) -> None:
        loop = asyncio.get_running_loop()
        started = self._running[key] = loop.time()
        self._idle.clear()
        outcome = "success"
        try:
            result = await self._reconcile(key)
        except Exception as error:  # noqa: BLE001 - whatever a reconcile raises means: again, later
            outcome = "error"
            self._failed(key, error)
        else:
            self._failures.pop(key, None)
            if result.requeue_after is not None:
                outcome = "requeue"
                self.add_after(key, result.requeue_after)
        finally:
            del self._running[key]
            if not self._running:
                self._idle.set()
            dirty = self._dirty.pop(key, None)
            if dirty is not None:
                self.add(key)
            if self._observer is not None:
                self._observer.finished(key, outcome, loop.time() - started)

    def _failed(self, key: K, error: Exception) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        # The exponent is bounded too: 2.0 ** 1100 is an OverflowError after a week of failures.
        step = min(self._cap, self._base * 2.0 ** min(failures - 1, 40))
        delay = step * (0.5 + 0.5 * self._jitter())
        wanted = getattr(error, "retry_after", None)
        if isinstance(wanted, int | float):
            delay = max(delay, min(float(wanted), self._cap))
        _log.warning(
            "reconcile of %s failed (attempt %d), again in %.1f s: %s",
            key,
            failures,
            delay,
            error,
            exc_info=None if hasattr(error, "status") else error,
        )
        self.add_after(key, delay)

    def _age(self, since: dict[K, float]) -> float:
        # Both dicts are in order of time: their first entry is the oldest.
        first = next(iter(since.values()), None)
        return 0.0 if first is None else asyncio.get_running_loop().time() - first
