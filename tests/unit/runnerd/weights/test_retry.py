"""When and how often a pull tries again."""

import pytest

from runnerd.weights.failure import TransientError, WeightsError
from runnerd.weights.retry import LONGEST_DELAY, Patience, Retrier
from tests.unit.runnerd.weights.virtual_clock import VirtualClock


def _retrier(clock: VirtualClock, limit: float, chance: float = 1.0) -> Retrier:
    patience = Patience(limit=limit, clock=clock, chance=lambda: chance)
    retrier = Retrier(what="pulling x", patience=patience)
    retrier.begin()
    return retrier


async def test_delays_double_up_to_the_cap() -> None:
    """Back-off is exponential and capped."""
    clock = VirtualClock()
    retrier = _retrier(clock, 1000)
    for _ in range(9):
        await retrier.pause(TransientError("x"))
    assert clock.naps == [0.5, 1, 2, 4, 8, 16, LONGEST_DELAY, LONGEST_DELAY, LONGEST_DELAY]


async def test_half_of_a_delay_is_chance() -> None:
    """Many pulls that fail together do not come back together."""
    clock = VirtualClock()
    await _retrier(clock, 100, chance=0.0).pause(TransientError("x"))
    assert clock.naps == [0.25]


async def test_retry_after_is_honoured() -> None:
    """The server's wish counts when it is longer than the own delay."""
    clock = VirtualClock()
    retrier = _retrier(clock, 100)
    await retrier.pause(TransientError("x", retry_after=7))
    await retrier.pause(TransientError("x", retry_after=0))
    assert clock.naps == [7, 1]


async def test_gives_up_after_the_limit() -> None:
    """The end is a retryable failure that tells the last error and how long it tried."""
    clock = VirtualClock()
    retrier = _retrier(clock, 20)

    async def forever() -> None:
        while True:
            await retrier.pause(TransientError("refused"))

    with pytest.raises(WeightsError, match=r"pulling x: refused \(given up after 16s ") as failure:
        await forever()
    assert failure.value.retryable
    assert clock.time <= 1020


async def test_progress_starts_the_limit_anew() -> None:
    """A slow pull with many broken connections is not given up while it comes further."""
    clock = VirtualClock()
    retrier = _retrier(clock, 20)
    for _ in range(100):
        await retrier.pause(TransientError("x"))
        clock.time += 15
        retrier.progressed()
    assert set(clock.naps) == {0.5}
    assert retrier.retries == 100


async def test_longer_wish_than_patience_ends_at_once() -> None:
    """A server that asks to wait an hour is not waited for in vain."""
    clock = VirtualClock()
    with pytest.raises(WeightsError, match="asks to wait 1h0m0s") as failure:
        await _retrier(clock, 120).pause(TransientError("answered 503", retry_after=3600))
    assert failure.value.retryable
    assert clock.naps == []


async def test_the_wait_is_told() -> None:
    """Whoever watches the progress sees why nothing comes, and that it goes on."""
    told: list[str] = []
    patience = Patience(limit=9, clock=VirtualClock(), chance=lambda: 1.0)
    retrier = Retrier(what="x", patience=patience, on_wait=told.append)
    await retrier.pause(TransientError("the server answered 503"))
    assert told == ["the server answered 503; trying again", ""]
