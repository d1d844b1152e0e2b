"""Several rounds of all sides in turn, and what is said of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.perf.arena import GATEWAY, Measurement
from tests.perf.figures import Spread, ratios
from tests.perf.peers.side import Proxy

DIRECT: Final = "direct"
Rounds = Mapping[str, Sequence[Measurement]]
"""The measurements of each side, in the order of the rounds."""


@dataclass(frozen=True)
class Aim:
    """What the gateway is to reach beside one peer, in a value where less (or more) is better."""

    peer: str
    what: str
    value: Callable[[Measurement], float]
    bound: float
    at_most: bool = True

    def told(self, rounds: Rounds) -> str:
        """One line; "" when one of the two was not measured."""
        if GATEWAY not in rounds or self.peer not in rounds:
            return ""
        ours, theirs = ([self.value(one) for one in rounds[name]] for name in (GATEWAY, self.peer))
        ratio = ratios(ours, theirs)
        met = ratio.middle <= self.bound if self.at_most else ratio.middle >= self.bound
        sign = "≤" if self.at_most else "≥"
        verdict = "met" if met else "NOT met"
        return f"{self.what}: {ratio.text(2)} times {self.peer}, aim {sign} {self.bound}: {verdict}"


def take_turns(
    proxies: Sequence[Proxy],
    count: int,
    measure: Callable[[Proxy | None], Measurement],
    *,
    direct: bool = True,
) -> Rounds:
    """Measure A, B, C, A, B, C …; `direct`: the model server itself is one more side."""
    sides: list[Proxy | None] = [*proxies, *([None] if direct else [])]
    found: dict[str, list[Measurement]] = {_name(side): [] for side in sides}
    for _ in range(count):
        for side in sides:
            found[_name(side)].append(measure(side))
    return found


def spread(measured: Sequence[Measurement], value: Callable[[Measurement], float]) -> Spread:
    """Of one value over the rounds."""
    return Spread.of([value(one) for one in measured])


def complaints(rounds: Rounds) -> list[str]:
    """A line for each side that did not answer everything as it should."""
    lines = []
    for name, measured in rounds.items():
        told = [one.report.complaint for one in measured if one.report.complaint]
        if told:
            lines.append(f"  {name}: {'; '.join(told)}")
    return lines


def _name(side: Proxy | None) -> str:
    return side.name if side else DIRECT
