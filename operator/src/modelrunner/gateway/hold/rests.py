"""Endpoints that failed are left alone for a while."""

from typing import Final

from modelrunner.gateway.messages import Endpoint

_FIRST: Final = 1.0
_LONGEST: Final = 10.0
_TRUSTED: Final = 3


class Rests:
    """1 s after a failure, doubling to 10 s, until the endpoint answers a request again."""

    def __init__(self) -> None:
        self.failing: dict[Endpoint, int] = {}

    def failed(self, endpoint: Endpoint, now: float) -> None:
        """Let it rest from `now` (loop's clock) on."""
        if endpoint.rests_until > now:
            # Everything that was in flight there fails together: that is one failure.
            return
        for gone in [found for found in self.failing if found.retired]:
            del self.failing[gone]
        times = self.failing.get(endpoint, 0)
        if not endpoint.retired:
            self.failing[endpoint] = times + 1
        # The power is bounded too: a pod can fail for weeks.
        endpoint.rests_until = now + min(_LONGEST, _FIRST * 2 ** min(times, 8))

    def answered(self, endpoint: Endpoint) -> None:
        """It answered a request: its failures are forgotten."""
        if self.failing and self.failing.pop(endpoint, 0):
            endpoint.rests_until = 0.0

    def lifted(self, endpoint: Endpoint) -> bool:
        """It says that it is ready: end its rest, unless it has said so and failed all the same."""
        if self.failing.get(endpoint, 0) > _TRUSTED:
            return False
        endpoint.rests_until = 0.0
        return True
