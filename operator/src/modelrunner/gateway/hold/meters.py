"""What holding counts."""

from typing import Literal, Protocol

from modelrunner.gateway.table.entry import ModelEntry

Wakened = Literal["ready", "failed", "timeout", "refused"]
"""How a wake ended: a runner was ready; the Model told that it cannot; nothing came in the time
that anybody waits; the API server did not let us."""


class HoldMeters(Protocol):
    """Counters; calls are cheap and never raise."""

    def held(self, entry: ModelEntry, change: Literal[1, -1]) -> None:
        """A request begins to wait for the model, or waits no more."""
        ...

    def wake(self, entry: ModelEntry, result: Wakened, seconds: float) -> None:
        """A wake that ended, `seconds` after it was begun; once however many waited."""
        ...
