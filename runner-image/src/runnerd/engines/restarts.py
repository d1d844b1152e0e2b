"""When an engine that ended is started again. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

ATTEMPTS: Final = 5
"""Starts of an engine that never got ready: after so many, the arguments are to blame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """Exponential back-off: seconds before the first and the longest pause."""

    first: float = 1.0
    longest: float = 300.0
    healthy_after: float = 600.0
    """An engine that was ready for so long starts with the first pause again."""
    attempts: int = ATTEMPTS


class Backoff:
    """Counts failures in a row; `random` gives numbers in [0, 1)."""

    def __init__(self, delays: Delays, random: Callable[[], float]) -> None:
        self._delays = delays
        self._random = random
        self._failures = 0
        self.was_ready = False

    def failed(self, ready_for: float | None) -> float | None:
        """Seconds to wait before the next start; None: trying again cannot help.

        Args:
            ready_for: How long the engine had been ready, None when it never was this time.
        """
        if ready_for is not None:
            self.was_ready = True
            if ready_for >= self._delays.healthy_after:
                self._failures = 0
        self._failures += 1
        if not self.was_ready and self._failures >= self._delays.attempts:
            return None
        # The exponent is bounded: 2.0 ** 1100 is an error.
        pause = self._delays.first * 2.0 ** min(self._failures - 1, 30)
        # Jitter only shortens, so the longest pause is a promise.
        return min(pause, self._delays.longest) * (1 - 0.2 * self._random())
