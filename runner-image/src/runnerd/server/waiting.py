"""How many requests for this runner's model wait at the gateways."""

from collections.abc import Callable
from typing import Final

from modelrunner_protocol.runner import HeldReport

FORGOTTEN_AFTER: Final = 5.0
"""Seconds without a further report of a gateway after which its requests count no more."""

MOST_GATEWAYS: Final = 64
MOST_HELD: Final = 1_000_000


class Waiting:
    """The newest report of each gateway, as long as it is fresh. `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._reports: dict[str, tuple[int, float]] = {}

    @property
    def total(self) -> int:
        """Requests that wait."""
        now = self._clock()
        return sum(held for held, until in self._reports.values() if now < until)

    def report(self, told: HeldReport) -> None:
        """Take one report; of too many gateways the one that was silent longest is forgotten."""
        self._reports.pop(told.gateway, None)
        if not told.held:
            return
        while len(self._reports) >= MOST_GATEWAYS:
            # Insertion order is the order of the reports.
            del self._reports[next(iter(self._reports))]
        self._reports[told.gateway] = (told.held, self._clock() + FORGOTTEN_AFTER)
