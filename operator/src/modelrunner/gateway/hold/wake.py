"""One wake of one model: from the first request that needs it until a runner is ready.

It goes on when all who waited have left: whoever caused it will ask again.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from modelrunner.api.v1alpha1.values import Phase
from modelrunner.gateway.hold.meters import HoldMeters, Wakened
from modelrunner.gateway.hold.scaling import Attempt, Scaler, Tried
from modelrunner.gateway.table.entry import ModelEntry

log = logging.getLogger(__name__)

_FIRST: Final = 1.0
_LONGEST: Final = 5.0
# Nothing to scale is there yet, or any more.
_NO_DEPLOYMENT: Final = frozenset(
    {"", Phase.PENDING, Phase.RESOLVING, Phase.PULLING, Phase.TERMINATING}
)


def can_wake(entry: ModelEntry) -> bool:
    """Whether scaling 0→1 is what the model lacks: it has no pods, and may have a Deployment."""
    return not (entry.ready or entry.starting or entry.gone or entry.phase in _NO_DEPLOYMENT)


class Wake:
    """Scales up, looks whether pods come, and tries again while there are none.

    `trouble` says why the last try did not succeed, "" when it did. Ends by `end`, or by itself
    after the model's `hold_timeout`; `ended` is called once, in both cases.
    """

    def __init__(
        self,
        entry: ModelEntry,
        scaler: Scaler,
        meters: HoldMeters,
        ended: Callable[[], None],
    ) -> None:
        self.trouble = ""
        self._entry = entry
        self._scaler = scaler
        self._meters = meters
        self._ended = ended
        self._refused = False
        self._changed = asyncio.Event()
        self._now = asyncio.get_running_loop().time
        self._began = self._now()
        self.task = asyncio.create_task(self._run())

    def changed(self) -> None:
        """The model or its endpoints are not what they were."""
        self._changed.set()

    def end(self, result: Wakened) -> None:
        """It is over."""
        self.task.cancel()
        self._finish(result)

    def _finish(self, result: Wakened) -> None:
        seconds = self._now() - self._began
        log.info("wake of %s: %s after %.2f s", self._entry.path, result, seconds)
        self._meters.wake(self._entry, result, seconds)
        self._ended()

    async def _run(self) -> None:
        try:
            async with asyncio.timeout(self._entry.hold_timeout):
                await self._keep_trying()
        except TimeoutError:
            self._finish("refused" if self._refused else "timeout")

    async def _keep_trying(self) -> None:
        delay = _FIRST / 2
        due = self._now()
        while True:
            if not can_wake(self._entry):
                # Pods are there, or nothing that could be scaled. Should they go, it is urgent.
                due = self._now()
                await self._change(None)
            elif (left := due - self._now()) > 0:
                await self._change(left)
            else:
                tried = await self._scaler.wake(self._entry.namespace, self._entry.name)
                delay = self._delay(tried, delay)
                due = self._now() + delay

    def _delay(self, tried: Tried, before: float) -> float:
        """Seconds until the next try, if there are still no pods then."""
        if tried.message and tried.message != self.trouble:
            log.warning("could not wake %s: %s", self._entry.path, tried.message)
        self.trouble = tried.message
        self._refused = tried.attempt is Attempt.REFUSED
        if tried.attempt is Attempt.WOKEN:
            log.info("woke %s", self._entry.path)
            return _LONGEST
        return min(_LONGEST, max(2 * before, tried.retry_after))

    async def _change(self, seconds: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        self._changed.clear()
