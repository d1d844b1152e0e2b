"""How much is used of something that is limited: what runs, and a bucket of tokens."""

from dataclasses import dataclass
from typing import Final

# Of a token: who waited as long as was asked must not be a rounding error short of one.
_ROUNDING: Final = 1e-6


@dataclass(slots=True, eq=False)
class Usage:
    """Requests in flight, and the tokens that are left of a minute's worth.

    The bucket holds a whole minute's requests and fills steadily, so after a quiet minute all of
    them may come at once. `filled_at` is a monotonic clock's time; None: never used, so full.
    """

    in_flight: int = 0
    tokens: float = 0.0
    filled_at: float | None = None

    def wait(self, per_minute: int, now: float) -> float:
        """Fill up to now; seconds until there is a token, 0 when there is one."""
        if self.filled_at is None:
            self.tokens = per_minute
        else:
            # min: a limit that was lowered lowers what had been saved.
            self.tokens = min(per_minute, self.tokens + (now - self.filled_at) * per_minute / 60.0)
        self.filled_at = now
        short = 1.0 - self.tokens
        return short * 60.0 / per_minute if short > _ROUNDING else 0.0
