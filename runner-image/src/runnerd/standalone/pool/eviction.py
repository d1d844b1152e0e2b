"""Which engines make room for another one. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place(Generic[K]):
    """An engine that takes a slot and memory.

    Attributes:
        size: Bytes.
        last_used: On any clock.
        in_use: Whether somebody uses it.
        forever: Whether it was to stay for ever.
        leaving: Whether it is going already; until it is gone it takes what it took.
    """

    key: K
    size: int
    last_used: float
    in_use: bool = False
    forever: bool = False
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Plan(Generic[K]):
    """What is to be done before there is room.

    Attributes:
        ready: There is room now.
        unload: Those that nobody uses and that go now.
        reserve: Those that go as soon as nobody uses them; nobody new may use them until then.
    """

    ready: bool
    unload: tuple[K, ...] = ()
    reserve: tuple[K, ...] = ()


@dataclass(frozen=True, slots=True)
class Room:
    """What there is in all: engines at once, and bytes (None: nobody counts them)."""

    slots: int
    budget: int | None

    def fits(self, sizes: Collection[int], wanted: int) -> bool:
        """Whether an engine of `wanted` bytes has room beside others of `sizes`."""
        if len(sizes) >= self.slots:
            return False
        return self.budget is None or sum(sizes) + wanted <= self.budget


def plan(places: Iterable[Place[K]], wanted: int, room: Room) -> Plan[K]:
    """How an engine of `wanted` bytes, which would fit into an empty room, gets room in a full one.

    Of those that stay, the ones go that nobody uses, before others; of these the ones that
    were to stay for some time only, before those that were to stay for ever; of these the ones
    that were not used for longest. None goes whose going does not help.
    """
    all_ = list(places)
    if room.fits([place.size for place in all_], wanted):
        return Plan(ready=True)
    staying = [place for place in all_ if not place.leaving]
    staying.sort(key=lambda place: (place.in_use, place.forever, place.last_used))
    going: list[Place[K]] = []
    while not room.fits([place.size for place in staying], wanted) and staying:
        going.append(staying.pop(0))
    # Small ones that were taken first may be of no help beside a large one that was taken later.
    for place in reversed(list(going)):
        if room.fits([other.size for other in (*staying, place)], wanted):
            going.remove(place)
            staying.append(place)
    return Plan(
        ready=False,
        unload=tuple(place.key for place in going if not place.in_use),
        reserve=tuple(place.key for place in going if place.in_use),
    )
