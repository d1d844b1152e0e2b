"""The life of an engine in the pool: it breaks, it is configured, it goes."""

import asyncio
import itertools

import pytest

from modelrunner_protocol.configure import Configuration
from modelrunner_protocol.wire import Mode
from runnerd.standalone.catalogue.stored import Stored
from runnerd.standalone.pages import RefusedError
from runnerd.standalone.pool import Key
from tests.support.scripted_runner import eventually
from tests.support.scripted_served import Client, Workshop, pooled, stored, use

A, B = stored("a"), stored("b")
KEY = Key(A.identity, Mode.COMPLETION)


async def test_a_load_that_fails() -> None:
    """All who wait are told why, and the next one tries again."""
    workshop = Workshop(ready=False)
    async with pooled(workshop) as pool:
        clients = [Client(pool, A) for _ in range(3)]
        await eventually(lambda: pool.running() and pool.waiting == 3)
        workshop.made[0].engine.crash("the file is corrupt")
        for client in clients:
            with pytest.raises(
                RefusedError, match="was not loaded: the file is corrupt"
            ) as refused:
                await client.task
            assert (refused.value.found.status, refused.value.found.code) == (503, "EngineFailed")
        assert not pool.running()
        workshop.ready = True
        await use(pool, A)
        assert len(workshop.made) == 2


async def test_an_error_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    """It is in the log, and not in the answer."""
    workshop = Workshop(ready=False)
    async with pooled(workshop) as pool:
        client = Client(pool, A)
        await eventually(lambda: workshop.made and workshop.made[0].started)
        workshop.made[0].give_up(RuntimeError("a secret"))
        with pytest.raises(RefusedError) as refused:
            await client.task
        assert refused.value.found.status == 500
        assert "secret" not in refused.value.found.message
        assert "the supervisor failed" in caplog.text


async def test_an_idle_engine_that_breaks() -> None:
    """It is not started again for nobody: the next request gets a new one."""
    workshop = Workshop()
    async with pooled(workshop) as pool:
        await use(pool, A)
        workshop.made[0].engine.crash()
        await eventually(lambda: not pool.running())
        await use(pool, A)
        assert len(workshop.made) == 2


async def test_an_engine_that_breaks_in_use() -> None:
    """Whoever uses it, or comes now, waits for its supervisor to start it again."""
    workshop = Workshop()
    async with pooled(workshop) as pool:
        first = Client(pool, A)
        await first.inside()
        engine = workshop.made[0].engine
        engine.crash()
        second = Client(pool, A)
        await eventually(lambda: pool.waiting == 1)
        engine.become_ready()
        await second.inside()
        await first.leave()
        await second.leave()
        assert len(workshop.made) == 1
        assert len(pool.running()) == 1


async def test_an_engine_that_breaks_again_and_again() -> None:
    """Twice in a row is enough: whoever waits is refused, and the next one gets a new one."""
    workshop = Workshop()
    async with pooled(workshop) as pool:
        first = Client(pool, A)
        await first.inside()
        workshop.made[0].engine.crash()
        second = Client(pool, A)
        await eventually(lambda: pool.waiting == 1)
        workshop.made[0].engine.crash("it burnt again")
        with pytest.raises(RefusedError, match="it burnt again"):
            await second.task
        await first.leave()
        await use(pool, A)
        assert len(workshop.made) == 2


async def test_a_broken_engine_that_nobody_waits_for_any_more() -> None:
    """The last one who leaves it takes it along."""
    workshop = Workshop()
    async with pooled(workshop) as pool:
        first = Client(pool, A)
        await first.inside()
        workshop.made[0].engine.crash()
        # Seen by the pool, which waits because somebody uses it.
        await asyncio.sleep(0)
        await first.leave()
        await eventually(lambda: not pool.running())


async def test_an_engine_of_another_configuration() -> None:
    """An idle engine makes place for one of the new configuration, in use it is a conflict."""
    workshop = Workshop()
    async with pooled(workshop) as pool:
        await use(pool, A)
        pool.configure(A.identity, Configuration(context_size=512))
        assert not pool.running()
        client = Client(pool, A)
        await client.inside()
        assert workshop.made[1].config.context_size == 512
        with pytest.raises(RefusedError, match="runner already active") as refused:
            pool.configure(A.identity, Configuration(runtime_flags=("--temp", "1")))
        assert refused.value.found.status == 409
        assert pool.configuration(A.identity, Mode.COMPLETION) == Configuration(context_size=512)
        # The same again, and what is for another mode, changes nothing.
        pool.configure(A.identity, Configuration(context_size=512))
        pool.configure(A.identity, Configuration(context_size=64), Mode.EMBEDDING)
        await client.leave()
        pool.configure(A.identity, Configuration(runtime_flags=("--temp", "1")))
        await use(pool, A)
        config = workshop.made[2].config
        assert (config.context_size, config.runtime_flags) == (512, ("--temp", "1"))
        pool.forget(A.identity)
        assert not pool.configurations()


async def test_one_that_is_loading_is_seen() -> None:
    """Whoever waits for it, or for room, must not get something else than what was configured."""
    workshop = Workshop(ready=False)
    sizes = itertools.count(512)
    async with pooled(workshop, slots=1) as pool:
        first = Client(pool, A)
        await eventually(pool.running)
        second = Client(pool, B)

        def refused(model: Stored) -> bool:
            try:
                pool.configure(model.identity, Configuration(context_size=next(sizes)))
            except RefusedError as error:
                return "runner already active" in str(error)
            return False

        assert refused(A)
        # Before it is known what its engine is to be, a word about it comes in time.
        await eventually(lambda: refused(B))
        for model in (A, B):
            pool.configure(model.identity, Configuration(keep_alive=60.0))
        workshop.ready = True
        workshop.made[0].engine.become_ready()
        for client in (first, second):
            await client.inside()
            await client.leave()
        said = pool.configuration(B.identity, Mode.COMPLETION)
        assert workshop.made[1].config.context_size == said.context_size


async def test_ranking_follows_completion() -> None:
    """What is said of completions is valid for a ranking engine that has nothing of its own."""
    workshop = Workshop()
    async with pooled(workshop) as pool:
        await use(pool, A, Mode.RERANKING)
        pool.configure(A.identity, Configuration(context_size=512))
        assert not pool.running()
        await use(pool, A, Mode.RERANKING)
        assert workshop.made[1].config.context_size == 512


async def test_keep_alive() -> None:
    """An idle engine goes after its time: a request's word counts, then what was configured."""
    workshop = Workshop()
    async with pooled(workshop, default_keep_alive=0.02) as pool:
        await use(pool, A)
        await eventually(lambda: not pool.running())
        pool.configure(A.identity, Configuration(keep_alive=-1.0))
        await use(pool, A)
        assert pool.running()[0].keep_alive == -1.0
        pool.keep_alive(KEY, 100.0)
        (running,) = pool.running()
        assert running.expires_at == running.last_used + 100.0
        # The newest word counts, and none of them restarts anything.
        pool.configure(A.identity, Configuration(keep_alive=50.0))
        assert pool.running()[0].keep_alive == 50.0
        pool.keep_alive(KEY, 0.0)
        await eventually(lambda: not pool.running())
        assert len(workshop.made) == 2
        # A request's word was for that engine only.
        await use(pool, A)
        assert pool.running()[0].keep_alive == 50.0


async def test_in_use_it_stays() -> None:
    """A keep_alive of nothing lets an answer come to its end."""
    workshop = Workshop()
    async with pooled(workshop, default_keep_alive=0.0) as pool:
        client = Client(pool, A)
        await client.inside()
        assert pool.running()[0].expires_at is None
        assert not workshop.made[0].stopped
        await client.leave()
        await eventually(lambda: not pool.running())


async def test_unload() -> None:
    """Idle engines go at once and are counted, those in use when they are idle."""
    workshop = Workshop()
    async with pooled(workshop, slots=3) as pool:
        await use(pool, A)
        await use(pool, A, Mode.EMBEDDING)
        client = Client(pool, B)
        await client.inside()
        assert await pool.unload({A.identity}, Mode.EMBEDDING) == 1
        assert await pool.unload({B.identity}) == 0
        assert await pool.unload() == 1
        assert [one.identity for one in pool.running()] == [B.identity]
        await client.leave()
        await eventually(lambda: not pool.running())


async def test_unload_by_force() -> None:
    """Also an engine in use goes, and whoever waits for it to be loaded is refused."""
    workshop = Workshop(ready=False)
    async with pooled(workshop) as pool:
        client = Client(pool, A)
        await eventually(pool.running)
        assert await pool.unload(force=True) == 1
        with pytest.raises(RefusedError, match="was unloaded"):
            await client.task
        assert workshop.made[0].stopped


async def test_dismissed_before_it_began() -> None:
    """An engine that is unloaded in the moment it was made leaves nothing behind."""
    workshop = Workshop()
    async with pooled(workshop) as pool:
        await pool.preload(A, Mode.COMPLETION, name="a")
        assert await pool.unload() == 1
        assert workshop.made[0].stopped
