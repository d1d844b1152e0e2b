"""Numbers of several rounds, and what they say of two sides."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several measurements, with the least and the most."""

    middle: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Of at least one measurement."""
        return cls(statistics.median(values), min(values), max(values))

    def text(self, digits: int = 1) -> str:
        """`12.3 [11.9-13.0]`; the median alone when all are as good as equal."""
        middle, least, most = (f"{one:,.{digits}f}" for one in (self.middle, self.least, self.most))
        return middle if least == most else f"{middle} [{least}-{most}]"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Ours by theirs, round by round: what slows a whole round down cancels out.

    Raises:
        ValueError: the sides were not measured equally often.
    """
    return Spread.of([mine / other for mine, other in zip(ours, theirs, strict=True)])


def quantile(values: Sequence[float], point: float) -> float:
    """The value below which the share `point` of the values lies, by nearest rank."""
    return sorted(values)[min(int(point * len(values)), len(values) - 1)]


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of equal length below each other: the first column to the left, others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  "
        + "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
