"""A crowd that comes, goes, gives up, configures and breaks things, in any order."""

import asyncio
import contextlib
import random

import pytest

from modelrunner_protocol.configure import Configuration
from modelrunner_protocol.wire import Mode, RunConfig
from runnerd.server.served import Served
from runnerd.standalone.pages import RefusedError
from runnerd.standalone.pool import Key, Pool
from tests.support.scripted_served import FIXED, MEBIBYTE, Workshop, pooled, stored

MODELS = [stored(letter, 100 * size) for size, letter in enumerate("abcde", 1)]
BUDGET = 900 * MEBIBYTE + 3 * FIXED
SLOTS = 3


class Crowded(Workshop):
    """Never makes more engines than there is room for."""

    def make(self, config: RunConfig) -> Served:
        """One more, and a look at the others."""
        served = super().make(config)
        alive = [one for one in self.made if not one.over]
        assert len(alive) <= SLOTS
        sizes = {model.tags[0]: model.artifact.size_bytes + FIXED for model in MODELS}
        assert sum(sizes[one.config.model] for one in alive) <= BUDGET
        return served


async def _one(pool: Pool, dice: random.Random, answered: list[str]) -> None:
    model, mode = dice.choice(MODELS), dice.choice([Mode.COMPLETION, Mode.EMBEDDING])
    with contextlib.suppress(RefusedError):
        async with pool.lease(model, mode, name=model.tags[0]) as served:
            assert (served.config.model, served.config.mode) == (model.tags[0], mode)
            await asyncio.sleep(dice.choice([0, 0, 0.001, 0.003]))
            answered.append(model.tags[0])


async def _trouble(pool: Pool, workshop: Workshop, dice: random.Random) -> None:
    model = dice.choice(MODELS)
    match dice.randrange(6):
        case 0:
            with contextlib.suppress(RefusedError):
                pool.configure(model.identity, Configuration(context_size=dice.randrange(512)))
        case 1:
            await pool.unload({model.identity}, force=dice.random() < 0.2)
        case 2:
            pool.keep_alive(Key(model.identity, Mode.COMPLETION), dice.choice([0.0, -1.0, 0.002]))
        case 3 if alive := [one for one in workshop.made if one.engine.ready]:
            engine = dice.choice(alive).engine
            engine.crash()
            asyncio.get_running_loop().call_later(0.002, engine.become_ready)
        case 4:
            with contextlib.suppress(RefusedError):
                await pool.preload(model, Mode.COMPLETION, name="x")
        case _:
            pass


@pytest.mark.parametrize("seed", range(4))
async def test_everybody_is_answered_or_refused(seed: int) -> None:
    """No client waits for ever, none gets another's engine, and no room is used twice or lost."""
    dice, workshop = random.Random(seed), Crowded()
    answered: list[str] = []
    async with pooled(workshop, slots=SLOTS, budget=BUDGET, max_waiting=60) as pool:
        tasks = []
        for _ in range(150):
            tasks.append(asyncio.create_task(_one(pool, dice, answered)))
            if dice.random() < 0.2:
                dice.choice(tasks).cancel()
            if dice.random() < 0.2:
                tasks.append(asyncio.create_task(_trouble(pool, workshop, dice)))
            await asyncio.sleep(dice.choice([0, 0, 0.001]))
        async with asyncio.timeout(240):
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        wrong = [one for one in ended if one and not isinstance(one, asyncio.CancelledError)]
        assert not wrong
        assert len(set(answered)) == len(MODELS)
        assert len(answered) > 30
        assert pool.waiting == 0
        assert not any(one.in_use for one in pool.running())
        await pool.unload()
        async with asyncio.timeout(60):
            for model in MODELS:
                async with pool.lease(model, Mode.COMPLETION, name="x"):
                    pass
