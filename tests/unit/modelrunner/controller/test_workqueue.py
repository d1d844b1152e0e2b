"""The work queue: one at a time per key, again after failures, nothing lost, a clean end."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from itertools import pairwise

import pytest

from modelrunner.controller.result import Result
from modelrunner.controller.workqueue import WorkQueue
from tests.support.virtual_time import run

Reconcile = Callable[[str], Awaitable[Result]]


def now() -> float:
    """Virtual seconds."""
    return asyncio.get_running_loop().time()


class Seen:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.finishes: list[tuple[Hashable, str]] = []

    def finished(self, key: Hashable, result: str, seconds: float) -> None:
        """Keep it."""
        assert seconds >= 0
        self.finishes.append((key, result))


async def working(queue: WorkQueue[str], seconds: float, workers: int = 4) -> None:
    """Let the queue work for a while."""
    task = asyncio.create_task(queue.run(workers))
    await asyncio.sleep(seconds)
    await queue.drain()
    await task


def test_a_key_added_many_times_before_it_runs_is_run_once() -> None:
    """A burst of events of one object costs one reconcile."""

    async def scenario() -> list[str]:
        calls: list[str] = []

        async def reconcile(key: str) -> Result:
            calls.append(key)
            return Result()

        queue = WorkQueue(reconcile)
        for key in ("a", "a", "b", "a"):
            queue.add(key)
        assert queue.depth() == 2
        await working(queue, 1)
        return calls

    assert run(scenario()) == ["a", "b"]


def test_a_key_never_runs_beside_itself_and_runs_again_when_it_got_dirty() -> None:
    """Events during a reconcile lead to exactly one more, after it."""

    async def scenario() -> tuple[int, int]:
        running = peak = calls = 0

        async def reconcile(key: str) -> Result:
            nonlocal running, peak, calls
            running, calls = running + 1, calls + 1
            peak = max(peak, running)
            if calls == 1:
                queue.add(key)
                queue.add(key)
            await asyncio.sleep(1)
            running -= 1
            return Result()

        queue = WorkQueue(reconcile)
        queue.add("a")
        await working(queue, 10)
        return peak, calls

    assert run(scenario()) == (1, 2)


def test_different_keys_run_side_by_side_up_to_the_number_of_workers() -> None:
    """Sixteen slow Models do not wait for each other, and a crowd does not flood the server."""

    async def scenario() -> int:
        running = peak = 0

        async def reconcile(_: str) -> Result:
            nonlocal running, peak
            running += 1
            peak = max(peak, running)
            await asyncio.sleep(1)
            running -= 1
            return Result()

        queue = WorkQueue(reconcile)
        for number in range(10):
            queue.add(str(number))
        await working(queue, 60, workers=3)
        return peak

    assert run(scenario()) == 3


def test_failures_back_off_exponentially_to_the_cap_and_success_resets() -> None:
    """0.2, 0.4, 0.8 … seconds, never more than the cap; after a success from the start again."""

    async def scenario() -> list[float]:
        at: list[float] = []

        async def reconcile(_: str) -> Result:
            at.append(now())
            if len(at) == 7:
                return Result(requeue_after=100)
            raise RuntimeError("no")

        queue = WorkQueue(reconcile, base=0.2, cap=1.0, jitter=lambda: 1.0)
        queue.add("a")
        await working(queue, 104.7)
        return [round(later - sooner, 3) for sooner, later in pairwise(at)]

    assert run(scenario())[:8] == [0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 100.0, 0.2]


def test_jitter_takes_up_to_half_of_a_delay() -> None:
    """Objects that failed together are not retried together."""

    async def scenario() -> float:
        at: list[float] = []

        async def reconcile(_: str) -> Result:
            at.append(now())
            raise RuntimeError("no")

        queue = WorkQueue(reconcile, base=8.0, jitter=lambda: 0.0)
        queue.add("a")
        await working(queue, 5)
        return at[1] - at[0]

    assert run(scenario()) == pytest.approx(4.0)


def test_an_error_that_says_when_to_retry_is_not_retried_sooner() -> None:
    """The Retry-After of a 429 is respected."""

    class BusyError(Exception):
        retry_after = 30.0
        status = 429

    async def scenario() -> float:
        at: list[float] = []

        async def reconcile(_: str) -> Result:
            at.append(now())
            raise BusyError

        queue = WorkQueue(reconcile)
        queue.add("a")
        await working(queue, 40)
        return at[1] - at[0]

    assert run(scenario()) == pytest.approx(30.0)


def test_ten_thousand_failures_do_not_overflow_the_back_off() -> None:
    """A float to the power of a week of failures stays the cap."""

    async def scenario() -> int:
        calls = 0

        async def reconcile(_: str) -> Result:
            nonlocal calls
            calls += 1
            raise OSError

        queue = WorkQueue(reconcile, base=0.2, cap=1.0, jitter=lambda: 1.0)
        queue.add("a")
        await working(queue, 3000)
        return calls

    assert run(scenario()) > 2900


def test_the_soonest_of_several_delays_counts() -> None:
    """A later add_after never postpones an earlier one, and a sooner one is not lost."""

    async def scenario() -> list[float]:
        at: list[float] = []

        async def reconcile(_: str) -> Result:
            at.append(now())
            return Result()

        queue = WorkQueue(reconcile)
        start = now()
        queue.add_after("a", 10)
        queue.add_after("a", 20)
        queue.add_after("a", 5)
        await working(queue, 60)
        return [when - start for when in at]

    assert run(scenario()) == [pytest.approx(5.0)]


def test_forget_drops_the_back_off_and_the_timer_of_a_key() -> None:
    """A deleted object is not reconciled hours later because it once failed."""

    async def scenario() -> int:
        calls = 0

        async def reconcile(_: str) -> Result:
            nonlocal calls
            calls += 1
            return Result(requeue_after=5)

        queue = WorkQueue(reconcile)
        queue.add("a")
        task = asyncio.create_task(queue.run(1))
        await asyncio.sleep(1)
        queue.forget("a")
        await asyncio.sleep(60)
        await queue.drain()
        await task
        return calls

    assert run(scenario()) == 1


def test_stopping_drops_what_waits_and_lets_what_runs_finish() -> None:
    """At SIGTERM no reconcile begins and none is torn apart."""

    async def scenario() -> list[str]:
        finished: list[str] = []

        async def reconcile(key: str) -> Result:
            await asyncio.sleep(3)
            finished.append(key)
            return Result(requeue_after=1)

        queue = WorkQueue(reconcile)
        queue.add("a")
        queue.add("b")
        task = asyncio.create_task(queue.run(1))
        await asyncio.sleep(1)
        await queue.drain()
        queue.add("c")
        queue.add_after("d", 0)
        await task
        await asyncio.sleep(60)
        assert queue.depth() == 0
        return finished

    assert run(scenario()) == ["a"]


def test_a_reconcile_that_hangs_is_visible() -> None:
    """The age of the oldest running and waiting key grows with the clock."""

    async def scenario() -> tuple[float, float, float, int]:
        async def reconcile(_: str) -> Result:
            await asyncio.sleep(10_000)
            return Result()

        queue = WorkQueue(reconcile)
        assert queue.oldest_age() == 0
        queue.add("hangs")
        task = asyncio.create_task(queue.run(1))
        await asyncio.sleep(50)
        queue.add("waits")
        await asyncio.sleep(50)
        ages = queue.oldest_running(), queue.oldest_waiting(), queue.oldest_age(), queue.running()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return ages

    running, waiting, oldest, count = run(scenario())
    assert [running, waiting, oldest] == pytest.approx([100, 50, 100])
    assert count == 1


def test_the_observer_is_told_how_each_reconcile_ended() -> None:
    """Metrics see success, requeue and error."""

    async def scenario() -> list[tuple[Hashable, str]]:
        async def reconcile(key: str) -> Result:
            if key == "error":
                raise RuntimeError("no")
            return Result(requeue_after=1000 if key == "requeue" else None)

        seen = Seen()
        queue = WorkQueue(reconcile, observer=seen, base=1000)
        for key in ("success", "requeue", "error"):
            queue.add(key)
        await working(queue, 1)
        return seen.finishes

    assert run(scenario()) == [(key, key) for key in ("success", "requeue", "error")]


def test_unexpected_errors_are_logged_with_their_stack_and_expected_ones_without(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An API refusal is one line; a bug shows where it is."""

    class RefusedError(Exception):
        status = 409

    async def scenario() -> None:
        async def reconcile(key: str) -> Result:
            raise RefusedError if key == "refused" else ZeroDivisionError

        queue = WorkQueue(reconcile, base=1000)
        queue.add("refused")
        queue.add("bug")
        await working(queue, 1)

    run(scenario())
    stacks = {str(record.args[0]): record.exc_info for record in caplog.records if record.args}  # type: ignore[index]  # the log call gives a tuple
    assert not stacks["refused"]
    assert stacks["bug"]
