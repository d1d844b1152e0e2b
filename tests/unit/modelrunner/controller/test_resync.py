"""The periodic resync: everything is listed, differences are told, failures are tried again."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest

from modelrunner.controller.resync import Resync
from tests.support.virtual_time import run


class Collection:
    """A source that answers from a script: an exception is raised, a list is returned."""

    def __init__(self, name: str, *answers: Sequence[str] | Exception) -> None:
        self._name = name
        self._answers = list(answers)
        self.asked: list[float] = []

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    async def refresh(self) -> Sequence[str]:
        """The next answer; nothing once the script is over."""
        self.asked.append(asyncio.get_running_loop().time())
        answer = self._answers.pop(0) if self._answers else []
        if isinstance(answer, Exception):
            raise answer
        return answer


async def resynced(
    *sources: Collection, seconds: float, period: float = 300, soon_at: Sequence[float] = ()
) -> tuple[Resync[str], list[tuple[str, str]], list[float]]:
    """Run a resync for a while: what it found, and when its sweeps were."""
    changes: list[tuple[str, str]] = []
    sweeps: list[float] = []
    loop = asyncio.get_running_loop()
    start = loop.time()
    resync = Resync(
        sources,
        on_change=lambda name, change: changes.append((name, change)),
        on_sweep=lambda: sweeps.append(loop.time() - start),
        period=period,
        jitter=lambda: 0.5,
    )
    for at in soon_at:
        loop.call_later(at, resync.soon)
    assert resync.age is None
    task = asyncio.create_task(resync.run())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return resync, changes, sweeps


def test_differences_are_told_and_sweeps_come_with_the_period() -> None:
    """What a watch missed is found at the next round."""

    async def scenario() -> None:
        models = Collection("models", ["m1"], [], ["m1 is gone"])
        resync, changes, sweeps = await resynced(models, seconds=700)
        assert changes == [("models", "m1"), ("models", "m1 is gone")]
        assert sweeps == [0, pytest.approx(300), pytest.approx(600)]
        assert resync.synced
        assert resync.age == pytest.approx(100)

    run(scenario())


def test_one_source_that_fails_is_tried_again_alone_with_back_off() -> None:
    """A forbidden kind does not make the others be listed again and again."""

    async def scenario() -> None:
        good = Collection("good")
        bad = Collection("bad", *[OSError("no")] * 4, ["found"])
        resync, changes, sweeps = await resynced(good, bad, seconds=60)
        assert len(good.asked) == 1
        pauses = [later - sooner for sooner, later in pairwise(bad.asked)]
        assert pauses == pytest.approx([0.75, 1.5, 3, 6])
        assert changes == [("bad", "found")]
        assert len(sweeps) == 1
        assert resync.synced

    run(scenario())


def test_it_is_not_synced_before_every_source_has_answered() -> None:
    """Readiness and the first reconcile wait for the whole picture."""

    async def scenario() -> None:
        resync, _, sweeps = await resynced(Collection("bad", *[OSError("no")] * 99), seconds=30)
        assert not resync.synced
        assert not sweeps

    run(scenario())


def test_asking_for_a_round_gives_one_soon_however_often_it_is_asked() -> None:
    """A watch that lists again (and may have lost deletions) is followed by one look."""

    async def scenario() -> None:
        models = Collection("models")
        _, _, sweeps = await resynced(models, seconds=200, soon_at=(50, 50.5, 51))
        assert sweeps == [0, pytest.approx(52)]

    run(scenario())
