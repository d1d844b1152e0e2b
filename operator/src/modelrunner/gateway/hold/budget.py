"""How much memory all held requests of the process may take together."""

from typing import Final

_OVERHEAD: Final = 2048
"""Bytes that a held request takes beyond its body: head, connection's buffers, our own objects."""


class Budget:
    """Counts bytes. `limit` bounds newcomers; who is let in regardless is counted too."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.held = 0

    def fits(self, size: int) -> bool:
        """Whether one more body of `size` bytes may wait."""
        return self.held + size + _OVERHEAD <= self._limit

    def take(self, size: int) -> None:
        """It waits."""
        self.held += size + _OVERHEAD

    def give(self, size: int) -> None:
        """It waits no more."""
        self.held -= size + _OVERHEAD
