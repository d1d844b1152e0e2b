"""When a door closes, and that it opens by itself."""

import asyncio

from modelrunner_protocol.runner import Closing, HeldReport
from runnerd.server.closure import Closure
from runnerd.server.gate import Gate
from runnerd.server.waiting import Waiting


class _Door:
    """A closure with its clocks in the test's hand; times told are 1000 ahead of the clock."""

    def __init__(self) -> None:
        self.time = 50.0
        self.gate = Gate(max_in_flight=9, max_held=9, now=lambda: self.time + 1000)
        self.waiting = Waiting(lambda: self.time)
        self.closure = Closure(
            self.gate, self.waiting, clock=lambda: self.time, now=lambda: self.time + 1000
        )

    def close(self, *, lease: float = 30, drain: bool = False) -> bool:
        """Ask with what the gate says of its last use."""
        asked = Closing(lease=lease, last_used_at=self.gate.last_used_at, drain=drain)
        return self.closure.close(asked)


def test_lease() -> None:
    """The door is closed until the lease is over, renewed or given back; then it is open."""
    door = _Door()
    assert not door.closure.closed
    assert door.closure.until is None
    assert door.close()
    assert door.closure.closed
    assert door.closure.until == 1080
    door.time += 20
    assert door.close()
    door.time += 29.9
    assert door.closure.closed
    door.time += 0.1
    assert not door.closure.closed
    assert door.closure.until is None
    assert door.close(lease=5)
    door.closure.open()
    assert not door.closure.closed


def test_somebody_is_inside() -> None:
    """A request inside keeps the door open, except for a drain, which lets it finish."""
    door = _Door()
    assert door.gate.enter()
    assert not door.close()
    assert not door.closure.closed
    assert door.close(drain=True)
    assert door.closure.closed


def test_somebody_was_inside() -> None:
    """A request that came and went since the question was asked keeps the door open."""
    door = _Door()
    never = Closing(last_used_at=door.gate.last_used_at)
    assert door.gate.enter()
    door.gate.leave(0)
    assert not door.closure.close(never)
    seen = Closing(last_used_at=door.gate.last_used_at)
    assert door.closure.close(seen)
    door.closure.open()
    # Within one tick of the clock, and after it was set back.
    for seconds in (0, -3600):
        door.time += seconds
        seen = Closing(last_used_at=door.gate.last_used_at)
        assert door.gate.enter()
        door.gate.leave(0)
        assert not door.closure.close(seen)


def test_somebody_waits_at_a_gateway() -> None:
    """Who waits for this model is about to come in; a drain sends them elsewhere."""
    door = _Door()
    door.waiting.report(HeldReport(gateway="a", held=1))
    assert not door.close()
    assert door.close(drain=True)


def test_refusal_changes_nothing() -> None:
    """A door that is closed for one stays closed when another is refused."""
    door = _Door()
    assert door.gate.enter()
    assert door.close(lease=30, drain=True)
    assert not door.close(lease=200)
    assert door.closure.until == 1080


async def test_wait_for_an_open_door() -> None:
    """The wait ends with the lease, with the opening, or with its own time, and not before."""
    gate = Gate(max_in_flight=9, max_held=9, now=lambda: 0.0)
    loop = asyncio.get_running_loop()
    closure = Closure(gate, Waiting(loop.time), clock=loop.time, now=loop.time)
    async with asyncio.timeout(60):
        await closure.opened(60)
        assert closure.close(Closing(lease=0.05))
        await closure.opened(60)
        assert not closure.closed
        assert closure.close(Closing(lease=60))
        await closure.opened(0.01)
        assert closure.closed
        waiting = asyncio.create_task(closure.opened(60))
        await asyncio.sleep(0)
        # A renewed lease is waited for as well.
        assert closure.close(Closing(lease=50))
        await asyncio.sleep(0)
        assert not waiting.done()
        closure.open()
        await waiting
