"""Real engines that come and go."""

import asyncio
import os
import signal
from dataclasses import replace

import pytest

from modelrunner_protocol.configure import Configuration
from modelrunner_protocol.wire import Mode
from runnerd.standalone.pages import RefusedError
from tests.integration.runnerd_pool.conftest import World, complete, context
from tests.support.scripted_runner import eventually

MIB = 1 << 20


async def test_two_models_take_turns(world: World) -> None:
    """With one slot many clients of two models are all answered, and one engine lives at a time."""
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, len(world.pids()))
            await asyncio.sleep(0.02)

    one, other = world.model("a"), world.model("b")
    async with world.pool() as pool:
        watching = asyncio.create_task(watch())
        answers = await asyncio.gather(
            *(complete(pool, model) for model in (one, other, one, other, other, one))
        )
        assert len(await asyncio.gather(*(complete(pool, one) for _ in range(3)))) == 3
        watching.cancel()
    assert all(answer["choices"] for answer in answers)
    # Those who wait for the same engine get it together.
    assert len(world.made) <= 4
    assert most == 1


async def test_two_modes_of_a_model(world: World) -> None:
    """Completions and vectors come from engines of their own, at once if there are two slots."""
    model = world.model("a")
    async with world.pool(slots=2) as pool:
        answer, vector = await asyncio.gather(
            complete(pool, model), complete(pool, model, Mode.EMBEDDING)
        )
        assert answer["choices"]
        assert len(vector["data"][0]["embedding"]) == 576
        assert len(world.pids()) == 2


async def test_one_load_for_twenty(world: World) -> None:
    """Clients that come at once share a load, also when the one that began it leaves."""
    model = world.model("a")
    async with world.pool() as pool:
        first = asyncio.create_task(complete(pool, model))
        await eventually(lambda: world.made)
        others = [asyncio.create_task(complete(pool, model)) for _ in range(20)]
        first.cancel()
        answers = await asyncio.gather(*others)
        assert len(answers) == 20
        assert len(world.made) == 1


async def test_unloaded_when_idle(world: World) -> None:
    """After its keep_alive neither a process nor a socket is left."""
    async with world.pool(default_keep_alive=0.2) as pool:
        await complete(pool, world.model("a"))
        await eventually(lambda: not pool.running())
        await eventually(lambda: not world.pids())
        await eventually(lambda: not list(world.folder.iterdir()))


async def test_killed_while_idle(world: World) -> None:
    """Whoever asks after a kill -9 gets an engine that answers."""
    model = world.model("a")
    async with world.pool() as pool:
        await complete(pool, model)
        (pid,) = world.pids()
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: not pool.running())
        assert (await complete(pool, model))["choices"]
        assert world.pids() != [pid]


async def test_killed_in_use(world: World) -> None:
    """Its supervisor starts it again, and whoever comes meanwhile waits for it."""
    model = world.model("a")
    async with world.pool() as pool:
        async with pool.lease(model, Mode.COMPLETION, name="a") as served:
            (pid,) = world.pids()
            os.kill(pid, signal.SIGKILL)
            await eventually(lambda: not served.engine.ready)
            assert (await complete(pool, model))["choices"]
        assert len(world.made) == 1


async def test_memory(world: World) -> None:
    """What was asked for and does not fit is refused; what nobody asked for is made to fit."""
    model = world.model("a")
    async with world.pool(budget=300 * MIB) as pool:
        pool.configure(model.identity, Configuration(context_size=8192))
        with pytest.raises(RefusedError) as refused:
            await complete(pool, model)
        assert "0.2 KV cache at 8192 tokens" in refused.value.found.message
        assert not world.made
        other = world.model("b")
        async with pool.lease(other, Mode.COMPLETION, name="b") as served:
            (running,) = pool.running()
            assert running.context
            assert 4096 < running.context < 8192
            assert await context(served) == running.context


async def test_configured_context(world: World) -> None:
    """An idle engine is loaded anew with the context that was asked for; a keep_alive is no reason."""
    model = world.model("a")
    async with world.pool() as pool:
        async with pool.lease(model, Mode.COMPLETION, name="a") as served:
            assert await context(served) == 8192
            pool.configure(model.identity, Configuration(keep_alive=60.0))
        pool.configure(model.identity, Configuration(keep_alive=-1.0))
        await complete(pool, model)
        assert len(world.made) == 1
        pool.configure(model.identity, Configuration(context_size=512))
        async with pool.lease(model, Mode.COMPLETION, name="a") as served:
            assert await context(served) == 512


async def test_weights_that_cannot_be_loaded(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """All who wait are told what the engine said, and nothing of it stays."""
    folder = tmp_path_factory.mktemp("broken")
    broken = replace(world.model("a"), folder=folder)
    broken.weights.write_bytes(b"GGUF but not really")
    async with world.pool() as pool:
        asked = [asyncio.create_task(complete(pool, broken)) for _ in range(3)]
        for task in asked:
            with pytest.raises(RefusedError, match="was not loaded: llama-server ended") as refused:
                await task
            assert refused.value.found.status == 503
        assert len(world.made) == 1
        assert (await complete(pool, world.model("b")))["choices"]
