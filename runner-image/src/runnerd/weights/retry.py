"""Trying again: capped exponential back-off with jitter, Retry-After, an end."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from modelrunner_protocol.durations import format_duration
from runnerd.weights.clock import Clock
from runnerd.weights.failure import TransientError, WeightsError

logger = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_DELAY: Final = 0.5
LONGEST_DELAY: Final = 30.0


def _tells_nobody(_message: str) -> None:
    """The pauses of small work are over before anybody looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long something is tried again after transient errors, and after which pauses.

    One is given to a source for all that it asks, and one to a pull for all that it fetches.

    Attributes:
        limit: Seconds without progress after which it gives up.
        chance: Uniform random numbers in [0, 1), so that many do not come back together.
    """

    limit: float
    clock: Clock
    chance: Callable[[], float] = random.random

    async def persist(
        self,
        what: str,
        attempt: Callable[[], Awaitable[T]],
        *,
        on_wait: Callable[[str], None] = _tells_nobody,
    ) -> T:
        """Do something small, again after transient errors, for at most `limit` seconds.

        Args:
            what: The work in words, for messages.
            attempt: Does it, or fails.
            on_wait: As of a `Retrier`.

        Raises:
            WeightsError: it cannot be done, or not in time.
        """
        retrier = Retrier(what=what, patience=self, on_wait=on_wait)
        retrier.begin()
        while True:
            try:
                # A server that trickles bytes is never silent long enough to be cut off.
                async with asyncio.timeout(self.limit):
                    return await attempt()
            except TimeoutError as error:
                failure = TransientError("the header did not come in time")
                failure.__cause__ = error
                await retrier.pause(failure)
            except TransientError as error:
                await retrier.pause(error)


@dataclass(slots=True, kw_only=True)
class Retrier:
    """Decides after each transient error how long to wait, and when to give up.

    Args:
        what: The work in words, for messages.
        patience: The limit is renewed by progress.
        on_wait: Told why the work pauses, and "" when it goes on.
    """

    what: str
    patience: Patience
    on_wait: Callable[[str], None] = _tells_nobody
    retries: int = 0
    _failures: int = 0
    _since: float | None = None

    def begin(self) -> None:
        """Start the time that may pass without progress."""
        self._since = self.patience.clock.now()

    def progressed(self) -> None:
        """The work came further than ever before: the next error is a new one."""
        self._failures = 0
        self._since = self.patience.clock.now()

    async def pause(self, error: TransientError) -> None:
        """Wait before the next attempt.

        Raises:
            WeightsError: the time is up, or the server asks for a longer wait than is left.
        """
        now = self.patience.clock.now()
        if self._since is None:
            self._since = now
        delay = max(self._backoff(), error.retry_after or 0.0)
        left = self._since + self.patience.limit - now
        if delay > left:
            raise WeightsError(self._given_up(error, now), retryable=True) from error
        self._failures += 1
        self.retries += 1
        logger.warning("%s: %s; trying again in %.1f s", self.what, error, delay)
        self.on_wait(f"{error}; trying again")
        await self.patience.clock.sleep(delay)
        self.on_wait("")

    def _backoff(self) -> float:
        """Half of the exponential delay is certain, half is chance."""
        # The exponent is capped as well: 2.0 ** 2000 is an error.
        full = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(self._failures, 16))
        return full / 2 + full / 2 * self.patience.chance()

    def _given_up(self, error: TransientError, now: float) -> str:
        if error.retry_after and error.retry_after > self.patience.limit:
            return f"{self.what}: {error}, and asks to wait {format_duration(round(error.retry_after))}"
        tried = format_duration(round(now - (self._since or now)))
        return f"{self.what}: {error} (given up after {tried} without progress)"
