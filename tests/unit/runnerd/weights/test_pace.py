"""A bound on how fast bytes may come."""

from runnerd.weights.pace import Pace
from tests.unit.runnerd.weights.virtual_clock import VirtualClock


async def test_the_bound_is_kept_over_time() -> None:
    """A second's worth of bytes takes a second, in whatever pieces it comes."""
    clock = VirtualClock()
    pace, begin = Pace(1000.0, clock), clock.now()
    for _ in range(100):
        await pace.spend(50)
    assert 4.9 <= clock.now() - begin <= 5.1


async def test_no_bound_waits_for_nothing() -> None:
    """0 means any number."""
    clock = VirtualClock()
    begin = clock.now()
    await Pace(0, clock).spend(10**12)
    assert clock.now() == begin
