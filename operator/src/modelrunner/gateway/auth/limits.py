"""How much a key, and how much a model, may be asked: requests at once and a minute.

Counted in this process alone: with N replicas of the gateway up to N times as much gets through.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from modelrunner.gateway.auth.key import ApiKey
from modelrunner.gateway.auth.usage import Usage
from modelrunner.gateway.table.entry import ModelEntry

# Nobody knows when one of the running requests ends.
_SOON: Final = 1.0
_BUCKETS: Final = 1024


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is too much now (429). `retry_after` is in whole seconds."""

    retry_after: float
    code: str
    message: str


class Limits:
    """Lets requests in and counts them until they leave. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._models: dict[str, Usage] = {}

    def enter(self, key: ApiKey | None, entry: ModelEntry) -> Refusal | None:
        """Let a request in, or say why not. One that was let in must `leave`, once.

        Counts in `entry.in_flight` and `key.usage`. One that is refused costs nothing.
        """
        limit = entry.concurrent
        if limit is not None and entry.in_flight >= limit:
            return _crowded(f"The model {entry.path}", limit)
        used = None
        if key is not None:
            used = key.usage
            limit = key.concurrent
            if limit is not None and used.in_flight >= limit:
                return _crowded(f"The API key {key.name}", limit)
            if key.per_minute is not None and (wait := used.wait(key.per_minute, self._clock())):
                return _hurried(f"The API key {key.name}", key.per_minute, wait)
        if entry.per_minute is not None:
            bucket = self._bucket(entry.uid)
            if wait := bucket.wait(entry.per_minute, self._clock()):
                return _hurried(f"The model {entry.path}", entry.per_minute, wait)
            bucket.tokens -= 1.0
        # Last, so that a request the model's limit refuses costs the key nothing.
        if used is not None and key is not None:
            if key.per_minute is not None:
                used.tokens -= 1.0
            used.in_flight += 1
        entry.in_flight += 1
        return None

    def leave(self, key: ApiKey | None, entry: ModelEntry) -> None:
        """A request that was let in has ended, whichever way."""
        if key is not None:
            key.usage.in_flight -= 1
        entry.in_flight -= 1

    def _bucket(self, uid: str) -> Usage:
        found = self._models.get(uid)
        if found is None:
            if len(self._models) >= _BUCKETS:
                self._forget()
            found = self._models[uid] = Usage()
        return found

    def _forget(self) -> None:
        """Drop what was not used for a minute: its bucket is full again, as a new one is."""
        now = self._clock()
        self._models = {
            uid: usage
            for uid, usage in self._models.items()
            if usage.filled_at is not None and now - usage.filled_at < 60.0
        }


def _crowded(whose: str, limit: int) -> Refusal:
    message = f"{whose} has {limit} requests running, which is its limit"
    return Refusal(_SOON, "concurrency_limit_exceeded", message)


def _hurried(whose: str, limit: int, wait: float) -> Refusal:
    seconds = math.ceil(wait)
    message = f"{whose} may be used {limit} times a minute: try again in {seconds} s"
    return Refusal(float(seconds), "rate_limit_exceeded", message)
