"""What the command line asks of a benchmark."""

from dataclasses import dataclass
from typing import Final, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """Settings that several benchmarks know.

    Attributes:
        quick: a first look: fewer and shorter measurements, whose numbers scatter more.
        sides: what the gateway is compared with, by name; empty: all.
        rounds: how often each side is measured; None: as the benchmark thinks right.
        seconds: how long each measurement takes; None: as the benchmark thinks right.
    """

    quick: bool = False
    sides: tuple[str, ...] = ()
    rounds: int | None = None
    seconds: float | None = None

    def pick(self, usual: T, quick: T) -> T:
        """One of two values, by `quick`."""
        return quick if self.quick else usual


USUAL: Final = Options()
