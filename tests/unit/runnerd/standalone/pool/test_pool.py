"""Loading, sharing, waiting and refusing, with engines that do what they are told."""

import asyncio

import pytest

from modelrunner_protocol.configure import Configuration, Speculative
from modelrunner_protocol.wire import Mode, RunConfig
from runnerd.config import ConfigError
from runnerd.server.served import Served
from runnerd.standalone.catalogue.stored import Stored
from runnerd.standalone.pages import RefusedError
from runnerd.standalone.pool import Pool
from tests.support.scripted_runner import eventually
from tests.support.scripted_served import FIXED, MEBIBYTE, Client, Workshop, pooled, stored, use

A, B, C = stored("a"), stored("b"), stored("c")
SIZE = 100 * MEBIBYTE + FIXED


async def test_one_load_for_all() -> None:
    """Twenty clients that come at once share one engine, and the next one finds it loaded."""
    workshop = Workshop(ready=False)
    async with pooled(workshop) as pool:
        clients = [Client(pool, A) for _ in range(20)]
        await eventually(lambda: workshop.made)
        assert pool.running()[0].loading
        workshop.made[0].engine.become_ready()
        for client in clients:
            await client.inside()
        assert pool.running()[0].in_use
        for client in clients:
            await client.leave()
        await use(pool, A)
        assert workshop.models == ["ai/a:latest"]
        (running,) = pool.running()
        assert (running.in_use, running.loading, running.size_bytes) == (False, False, SIZE)
        assert (running.name, running.backend, running.expires_at) == (A.tags[0], "llama.cpp", None)


async def test_modes_are_engines_of_their_own() -> None:
    """A model that completes and embeds has two engines."""
    workshop = Workshop()
    async with pooled(workshop) as pool:
        await use(pool, A)
        await use(pool, A, Mode.EMBEDDING)
        assert [one.config.mode for one in workshop.made] == [Mode.COMPLETION, Mode.EMBEDDING]
        assert len(pool.served()) == 2


async def test_the_one_that_was_not_used_for_longest_goes() -> None:
    """With two slots the third model takes the place of the one that was used first."""
    workshop = Workshop()
    async with pooled(workshop) as pool:
        for model in (A, B, A, C):
            await use(pool, model)
        assert [one.stopped for one in workshop.made] == [False, True, False]
        assert {one.identity for one in pool.running()} == {A.identity, C.identity}


async def test_memory_makes_room() -> None:
    """An engine that goes frees its memory only when it is gone; until then the next one waits."""
    workshop = Workshop(slow_to_stop=True)
    async with pooled(workshop, slots=9, budget=SIZE + MEBIBYTE) as pool:
        await use(pool, A)
        client = Client(pool, B)
        await eventually(lambda: workshop.made[0].stopped)
        assert workshop.models == ["ai/a:latest"]
        workshop.made[0].gone.set()
        await client.inside()
        await client.leave()


async def test_too_large_for_all_memory() -> None:
    """It is refused at once, with the numbers, and nobody has to go for it."""
    workshop = Workshop()
    async with pooled(workshop, budget=SIZE) as pool:
        await use(pool, A)
        with pytest.raises(RefusedError) as refused:
            await use(pool, stored("d", 4096))
        found = refused.value.found
        assert (found.status, found.code) == (503, "insufficient_memory")
        assert "asked needs 4.1 GiB (4.0 weights + 0.1 for computing)" in found.message
        assert "there are 0.2 GiB in all" in found.message
        assert len(pool.running()) == 1


async def test_in_use_is_waited_for_and_then_refused() -> None:
    """Whoever waits too long learns what is in the way."""
    workshop = Workshop()
    async with pooled(workshop, budget=SIZE + MEBIBYTE, wait_timeout=0.05) as pool:
        client = Client(pool, A)
        await client.inside()
        with pytest.raises(RefusedError) as refused:
            await use(pool, B)
        found = refused.value.found
        assert (found.status, found.code) == (503, "insufficient_memory")
        assert "what is loaded is in use: ai/a:latest (0.2 GiB)" in found.message
        assert refused.value.retry_after
        await client.leave()
        await use(pool, A)
        assert len(workshop.made) == 1


async def test_no_slot_in_time() -> None:
    """The same when it is places that are missing."""
    workshop = Workshop()
    async with pooled(workshop, slots=1, wait_timeout=0.05) as pool:
        client = Client(pool, A)
        await client.inside()
        with pytest.raises(RefusedError, match="there is one place") as refused:
            await use(pool, B)
        assert (refused.value.found.status, refused.value.found.code) == (503, "no_room")
        await client.leave()


async def test_first_come_first_served() -> None:
    """Those who wait get their engines in the order in which they came."""
    workshop = Workshop()
    async with pooled(workshop, slots=1) as pool:
        first = Client(pool, A)
        await first.inside()
        second, third = Client(pool, B), Client(pool, C)
        await _until_in_the_way(pool, 2)
        # The engine is loaded, and yet whoever comes now comes after those who wait.
        fourth = Client(pool, A)
        await _until_waiting(pool, 3)
        for client in (first, second, third, fourth):
            await client.inside()
            await client.leave()
        assert workshop.models == [
            "ai/a:latest",
            "ai/b:latest",
            "ai/c:latest",
            "ai/a:latest",
        ]


async def _until_waiting(pool: Pool, count: int) -> None:
    await eventually(lambda: pool.waiting == count)


async def _until_in_the_way(pool: Pool, count: int) -> None:
    """So many wait, and what is loaded has to go for the first: until its needs are known, it stays."""
    await eventually(lambda: pool.waiting == count and pool._reserved)


async def test_the_line_is_bounded() -> None:
    """One more than may wait is refused, and told to come back; a loaded engine needs no line."""
    workshop = Workshop()
    async with pooled(workshop, slots=1, max_waiting=2) as pool:
        first = Client(pool, A)
        await first.inside()
        second, third = Client(pool, B), Client(pool, B)
        await _until_waiting(pool, 2)
        with pytest.raises(RefusedError) as refused:
            await use(pool, C)
        assert (refused.value.found.status, refused.value.found.code) == (429, "queue_full")
        assert refused.value.retry_after
        await first.leave()
        for client in (second, third):
            await client.inside()
        fourth = Client(pool, B)
        await fourth.inside()
        for client in (second, third, fourth):
            await client.leave()


async def test_who_gives_up_is_forgotten() -> None:
    """When the last one who waits for room has left, what is loaded is open to all again."""
    workshop = Workshop()
    async with pooled(workshop, slots=1) as pool:
        first = Client(pool, A)
        await first.inside()
        second = Client(pool, B)
        await _until_in_the_way(pool, 1)
        third = Client(pool, A)
        await _until_waiting(pool, 2)
        second.task.cancel()
        await third.inside()
        assert len(workshop.made) == 1
        await first.leave()
        await third.leave()


async def test_a_load_outlives_the_client_that_began_it() -> None:
    """Others share it; and if nobody does, the next one finds it loaded."""
    workshop = Workshop(ready=False)
    async with pooled(workshop) as pool:
        first, second = Client(pool, A), Client(pool, A)
        await eventually(lambda: pool.running() and pool.waiting == 2)
        first.task.cancel()
        await asyncio.wait({first.task})
        assert pool.running()[0].in_use
        second.task.cancel()
        await asyncio.wait({second.task})
        assert not pool.running()[0].in_use
        workshop.made[0].engine.become_ready()
        third = Client(pool, A)
        await third.inside()
        await third.leave()
        assert len(workshop.made) == 1


async def test_a_load_that_nobody_waits_for_makes_room() -> None:
    """It goes for whoever does wait."""
    workshop = Workshop(ready=False)
    async with pooled(workshop, slots=1) as pool:
        first = Client(pool, A)
        await eventually(lambda: workshop.made)
        first.task.cancel()
        await asyncio.wait({first.task})
        second = Client(pool, B)
        await eventually(lambda: len(workshop.made) == 2)
        workshop.made[1].engine.become_ready()
        await second.inside()
        await second.leave()
        assert workshop.made[0].stopped


async def test_preload() -> None:
    """An engine is loaded without anybody who uses it, and may be configured anew meanwhile."""
    workshop = Workshop(ready=False)
    async with pooled(workshop) as pool:
        await pool.preload(A, Mode.COMPLETION, name="a")
        await pool.preload(A, Mode.COMPLETION, name="a")
        assert [one.loading for one in pool.running()] == [True]
        pool.configure(A.identity, Configuration(context_size=512))
        await pool.preload(A, Mode.COMPLETION, name="a")
        assert [one.config.context_size for one in workshop.made] == [None, 512]
        assert len(pool.running()) == 1


async def test_no_engine_can_be_made() -> None:
    """What is wrong with the server's settings is told to whoever asks."""

    def make(_: RunConfig) -> Served:
        raise ConfigError("there is no llama-server here")

    async with pooled(Workshop(), make=make) as pool:
        with pytest.raises(RefusedError, match="there is no llama-server here") as refused:
            await use(pool, A)
        assert refused.value.found.status == 503
        assert not pool.running()


async def test_a_model_that_cannot_be_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    """An error of ours is in the log, and nobody waits for ever."""

    def find(_: str) -> Stored | None:
        raise RuntimeError("a secret")

    async with pooled(Workshop(), find=find) as pool:
        drafting = Speculative(draft_model="small")
        pool.configure(A.identity, Configuration(speculative=drafting))
        with pytest.raises(RefusedError) as refused:
            await use(pool, A)
        assert refused.value.found.status == 500
        assert "secret" not in refused.value.found.message
        assert "a model cannot be looked at" in caplog.text
        await use(pool, B)


async def test_closing() -> None:
    """Engines end, whoever waits is refused, and so is whoever comes later."""
    workshop = Workshop()
    async with pooled(workshop, slots=1) as pool:
        first = Client(pool, A)
        await first.inside()
        second = Client(pool, B)
        await _until_waiting(pool, 1)
        await pool.close()
        with pytest.raises(RefusedError, match="the server is stopping"):
            await second.task
        with pytest.raises(RefusedError, match="the server is stopping"):
            await use(pool, A)
        await first.leave()
        assert not pool.running()
