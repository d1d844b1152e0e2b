"""A clock that a test moves."""


class VirtualClock:
    """Time passes only in `sleep` and when a test says so; see `runnerd.weights.clock.Clock`."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.naps: list[float] = []

    def now(self) -> float:
        """Seconds."""
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.naps.append(seconds)
        self.time += seconds
