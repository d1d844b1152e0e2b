"""Counts the pulls that have ended: each Job once, however often and by however many it is seen."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from modelrunner.domain.downloads import PullEnd

_REMEMBERED: Final = 4096


class PullCounter:
    """Hands each ended Job to `counted` once.

    A failed Job stays until its next try, or for good: one that failed before this process looked
    was counted by the one before. A Job that succeeded goes as soon as its result is taken.

    Args:
        counted: Told what each pull came to.
        begun: When this process began to look, seconds since the epoch.
    """

    def __init__(self, counted: Callable[[PullEnd], None], begun: float) -> None:
        self._counted = counted
        self._begun = begun
        self._known: OrderedDict[str, None] = OrderedDict()

    def take(self, end: PullEnd | None) -> None:
        """A Job was looked at whose result is taken."""
        if end is None or end.job in self._known:
            return
        self._known[end.job] = None
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        # The kubelet tells whole seconds.
        if end.result == "success" or end.finished_at + 1 >= self._begun:
            self._counted(end)
