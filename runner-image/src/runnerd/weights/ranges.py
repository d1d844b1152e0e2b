"""Which bytes of a file are there. Pure."""

from collections.abc import Iterable, Iterator


class Ranges:
    """A set of byte positions as sorted intervals [start, stop) that do not touch."""

    def __init__(self, spans: Iterable[tuple[int, int]] = ()) -> None:
        self._spans: list[tuple[int, int]] = []
        for start, stop in spans:
            self.add(start, stop)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._spans)

    @property
    def total(self) -> int:
        """How many positions there are."""
        return sum(stop - start for start, stop in self._spans)

    def add(self, start: int, stop: int) -> None:
        """Add [start, stop)."""
        if start >= stop:
            return
        kept = []
        for one in self._spans:
            if one[1] < start or one[0] > stop:
                kept.append(one)
            else:
                start, stop = min(start, one[0]), max(stop, one[1])
        self._spans = sorted([*kept, (start, stop)])

    def reach(self, start: int) -> int:
        """The first position from `start` on that is not there."""
        for begin, stop in self._spans:
            if begin <= start < stop:
                return stop
        return start

    def gap(self, start: int, end: int, longest: int) -> tuple[int, int] | None:
        """The first interval of at most `longest` missing positions in [start, end); None: none."""
        first = self.reach(start)
        if first >= end:
            return None
        after = min((begin for begin, _ in self._spans if begin > first), default=end)
        return first, min(after, end, first + longest)
