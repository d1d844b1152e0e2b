"""Places, memory and turns."""

import asyncio
import contextlib

import pytest

from runnerd.server.gate import Gate


def _gate(**more: int) -> Gate:
    return Gate(**{"max_in_flight": 3, "max_held": 100, **more}, now=lambda: 5.0)


def test_places() -> None:
    """No more than max_in_flight are inside."""
    gate = _gate(max_in_flight=1)
    assert gate.last_used_at is None
    assert gate.enter()
    assert not gate.enter()
    gate.leave(0)
    assert gate.enter()
    assert gate.last_used_at == pytest.approx(5.0)


def test_every_use_has_a_time_of_its_own() -> None:
    """Also within one tick of the clock, and with a clock that was set back."""
    ticks = [5.0] * 4 + [4.9] * 2 + [5.1] * 2 + [2.0] * 4
    clock = iter(ticks)
    gate = Gate(max_in_flight=3, max_held=1, now=lambda: next(clock))
    times = []
    for _ in range(len(ticks) // 2):
        assert gate.enter()
        times.append(gate.last_used_at)
        gate.leave(0)
        times.append(gate.last_used_at)
    assert len(set(times)) == 12
    assert times == pytest.approx([5.0] * 6 + [5.1] * 2 + [2.0] * 4)


def test_memory() -> None:
    """Bodies together are bounded, and given back."""
    gate = _gate()
    assert gate.enter()
    assert gate.hold(100)
    assert not gate.hold(1)
    gate.leave(100)
    assert gate.hold(1)


async def test_turns_are_first_come_first_served() -> None:
    """Turns are given in order, one for each that ends; more room lets more in."""
    gate, order = _gate(), list[int]()

    async def work(number: int) -> None:
        await gate.turn()
        order.append(number)

    tasks = [asyncio.create_task(work(number)) for number in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert order == [0]
    assert gate.waiting == 4
    gate.done()
    await asyncio.sleep(0)
    assert order == [0, 1]
    gate.open(3)
    await asyncio.sleep(0)
    assert order == [0, 1, 2, 3]
    gate.done()
    await asyncio.gather(*tasks)


async def test_who_leaves_gives_up_the_turn() -> None:
    """One that leaves while it waits, or in the moment of its turn, blocks nobody."""
    gate = _gate()
    await gate.turn()
    waiting = asyncio.create_task(gate.turn())
    granted = asyncio.create_task(gate.turn())
    last = asyncio.create_task(gate.turn())
    await asyncio.sleep(0)
    waiting.cancel()
    gate.done()
    granted.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await granted
    async with asyncio.timeout(60):
        await last
    assert gate.waiting == 0
    assert waiting.cancelled()


async def test_until_idle() -> None:
    """The wait for nobody ends when the last one leaves."""
    gate = _gate()
    async with asyncio.timeout(60):
        await gate.until_idle()
        assert gate.enter()
        idle = asyncio.create_task(gate.until_idle())
        await asyncio.sleep(0)
        assert not idle.done()
        gate.leave(0)
        await idle
