"""What the probes say: whether this process should be restarted, whether it does its job."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from modelrunner.gateway.auth.feed import KeyFeed
from modelrunner.gateway.table.feed import TableFeed
from modelrunner.telemetry.lag import LoopLag
from modelrunner.telemetry.probes import Report

_LAG_LIMIT: Final = 5.0


@dataclass(slots=True)
class Standing:
    """Judges the process. `models` counts those that are known."""

    feed: TableFeed
    keys: KeyFeed | None
    lag: LoopLag
    models: Callable[[], int]
    serving: bool = False
    draining: bool = False

    @property
    def trouble(self) -> str:
        """What keeps the process from being up to date, "" when nothing does."""
        return self.feed.trouble or (self.keys.trouble if self.keys is not None else "")

    def live(self) -> Report:
        """Unhealthy when only a restart would help."""
        lag = self.lag.seconds
        return Report(lag < _LAG_LIMIT, {"loopLagSeconds": round(lag, 3)})

    def ready(self) -> Report:
        """Ready once everything was listed and until the end is near.

        An API server that goes away later changes nothing: what is known goes on being served.
        """
        age = self.feed.age
        details: dict[str, object] = {
            "models": self.models(),
            "tableAgeSeconds": None if age is None else round(age, 3),
        }
        if self.trouble:
            details["trouble"] = self.trouble
        if self.draining:
            details["draining"] = True
        return Report(self.serving and not self.draining, details)
