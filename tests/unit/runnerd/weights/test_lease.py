"""One writer on volumes whose locks hold on one machine only."""

import asyncio
import fcntl
import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from runnerd.weights.lease import EXPIRY, INTERVAL, BusyError, LeaseLostError, only_writer
from runnerd.weights.store import Store
from tests.support.virtual_time import virtual


class LoopClock:
    """The time of a virtual loop."""

    def now(self) -> float:
        """Seconds."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)


CLOCK = LoopClock()


@pytest.fixture(autouse=True)
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks of a volume that tells other machines nothing of them: everybody gets one at once."""
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)

    async def at_once(work: object, *args: object) -> object:
        assert callable(work)
        return work(*args)

    # A thread would run in real time.
    monkeypatch.setattr(asyncio, "to_thread", at_once)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The place of an artifact."""
    return Store(tmp_path, "0123456789abcdef")


@virtual
async def test_two_machines_never_write_at_once(store: Store) -> None:
    """Each of five waits until the one before is done, however long that takes."""
    inside: list[str] = []
    order: list[str] = []

    async def work(node: str) -> None:
        async with only_writer(store, CLOCK, node=node):
            inside.append(node)
            assert inside == [node]
            await asyncio.sleep(10 * EXPIRY)
            assert inside == [node]
            inside.remove(node)
            order.append(node)

    await asyncio.gather(*(work(f"node{i}") for i in range(5)))
    assert sorted(order) == [f"node{i}" for i in range(5)]
    assert not store.lease.exists()


@virtual
async def test_a_dead_holder_is_waited_for_and_then_replaced(store: Store) -> None:
    """A lease that stays the same is taken over after its time by the waiter's clock."""
    store.lease.write_text(json.dumps({"holder": "gone", "node": "other", "renewals": 7}))
    begun, waits = CLOCK.now(), []
    async with only_writer(store, CLOCK, node="mine", on_wait=lambda: waits.append(CLOCK.now())):
        waited = CLOCK.now() - begun
        assert json.loads(store.lease.read_text())["node"] == "mine"
    assert EXPIRY <= waited < EXPIRY + 2 * INTERVAL
    assert waits == [begun]


@virtual
async def test_time_stamps_of_the_volume_do_not_count(store: Store) -> None:
    """Neither an old nor a young file says whether its holder lives: only that it changes."""

    async def renewing() -> None:
        for count in range(100):
            store.lease.write_text(json.dumps({"node": "other", "renewals": count}))
            await asyncio.sleep(INTERVAL)
        store.lease.unlink()

    task, begun = asyncio.create_task(renewing()), CLOCK.now()
    await asyncio.sleep(0.1)
    async with only_writer(store, CLOCK, node="mine"):
        assert CLOCK.now() - begun >= 100 * INTERVAL
    await task


@virtual
async def test_the_same_machine_need_not_wait(store: Store) -> None:
    """There the lock is enough: a killed pull is gone on with at once."""
    store.lease.write_text(json.dumps({"holder": "gone", "node": "mine", "renewals": 7}))
    begun = CLOCK.now()
    async with only_writer(store, CLOCK, node="mine"):
        assert CLOCK.now() == begun


@virtual
async def test_nobody_is_the_same_unknown_machine(store: Store) -> None:
    """Where a machine cannot tell which it is, two of them would look alike."""
    store.lease.write_text(json.dumps({"holder": "gone", "node": "unknown", "renewals": 7}))
    begun = CLOCK.now()
    async with only_writer(store, CLOCK, node="unknown"):
        assert CLOCK.now() - begun >= EXPIRY


@virtual
async def test_of_two_who_take_over_one_wins(store: Store) -> None:
    """Both see that the holder is dead; who wrote first sees that it was not the last."""
    store.lease.write_bytes(b"half a lea")
    inside: list[str] = []

    async def work(node: str) -> None:
        async with only_writer(store, CLOCK, node=node):
            inside.append(node)
            assert inside == [node]
            await asyncio.sleep(EXPIRY)
            inside.remove(node)

    await asyncio.gather(work("one"), work("two"))


@virtual
async def test_who_lost_its_lease_stops(store: Store) -> None:
    """A machine that was frozen finds another holder: its work is cancelled, that one's lease stays."""
    told = json.dumps({"holder": "other", "node": "other", "renewals": 0})
    ended: list[float] = []

    async def work() -> None:
        async with only_writer(store, CLOCK, node="mine"):
            store.lease.write_text(told)
            try:
                await asyncio.sleep(1000 * EXPIRY)
            finally:
                ended.append(CLOCK.now())

    begun = CLOCK.now()
    with pytest.raises(LeaseLostError, match="taken over") as lost:
        await work()
    assert lost.value.retryable
    assert ended[0] - begun <= 2 * INTERVAL
    assert store.lease.read_text() == told


@virtual
async def test_a_failure_of_the_work_is_told_as_it_is(store: Store) -> None:
    """Also one that looks like a lost lease; the lease is given back."""
    for kind in (TimeoutError, ValueError):
        with pytest.raises(kind, match="of the work"):
            async with only_writer(store, CLOCK):
                raise kind("of the work")
        assert not store.lease.exists()


@virtual
async def test_who_will_not_wait_is_told(store: Store) -> None:
    """A living lease is busy, once it was seen to change; a dead one is taken over."""
    async with AsyncExitStack() as held:
        await held.enter_async_context(only_writer(store, CLOCK, node="one"))
        with pytest.raises(BusyError, match="is being written"):
            await held.enter_async_context(only_writer(store, CLOCK, node="two", wait=False))
    store.lease.write_text(json.dumps({"holder": "gone", "node": "other", "renewals": 7}))
    async with only_writer(store, CLOCK, node="two", wait=False):
        assert store.lease.exists()


@virtual
async def test_a_lease_does_not_follow_a_link(store: Store) -> None:
    """A link in its place does not make us write elsewhere."""
    store.lease.symlink_to(store.root / "target")
    with pytest.raises(OSError, match="symbolic link"):
        async with only_writer(store, CLOCK):
            raise AssertionError
    assert not (store.root / "target").exists()
