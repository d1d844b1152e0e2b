"""Every way in which a runner or its engine ends, in every state it may be in."""

import asyncio
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from runnerd.engines.restarts import Delays
from tests.support.freezing import freeze
from tests.support.scripted_runner import CONFIG, SETTINGS, Served, eventually, running

# An engine that only has to wait for a core is none that hangs.
HANGING = replace(SETTINGS, hang_timeout=2.5)


async def _ended(runner: Served) -> None:
    """It ends as wanted, soon, and leaves no engine."""
    assert runner.ended
    async with asyncio.timeout(60):
        assert await runner.ended
    assert all(child.poll() is not None for child in runner.launch.children)


@pytest.mark.parametrize(
    ("arguments", "state"),
    [
        (("--never-healthy",), "loading"),
        (("--hang-warm-up",), "warming"),
        ((), "ready"),
        (("--exit", "3", "--exit-from", "2"), "restarting"),
        (("--exit", "3"), "failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_stop_in_every_state(tmp_path: Path, arguments: tuple[str, ...], state: str) -> None:
    """A SIGTERM ends a runner in whatever state it is, and nothing is started after it."""
    delays = Delays(first=0.01 if state == "failed" else 60)
    reached = "ready" if state == "restarting" else state
    async with running(tmp_path, *arguments, delays=delays, until=reached) as runner:
        if state == "restarting":
            os.kill(runner.launch.children[-1].pid, signal.SIGKILL)
            await runner.until("restarting")
        runner.stop.set()
        await _ended(runner)
        count = len(runner.launch.children)
    assert count == (5 if state == "failed" else 1)


async def test_no_engine_is_started_while_draining(tmp_path: Path) -> None:
    """A drain that outlasts the pause before a restart starts no engine."""
    settings = replace(SETTINGS, drain_linger=4.0)
    async with running(tmp_path, settings=settings, delays=Delays(first=2.0)) as runner:
        os.kill(runner.launch.children[-1].pid, signal.SIGKILL)
        await runner.until("restarting")
        runner.stop.set()
        await _ended(runner)
        assert len(runner.launch.children) == 1


async def test_two_signals_at_once(tmp_path: Path) -> None:
    """Two SIGTERMs before the first is seen are one; the drain ends all the same."""
    async with running(tmp_path) as runner:
        runner.stop.set()
        runner.stop.set()
        await _ended(runner)


async def test_drain_with_a_queue(tmp_path: Path) -> None:
    """Whoever was let in before the drain is answered, in turn, also out of the queue."""
    async with running(tmp_path, "--slots", "1") as runner:
        asked = [asyncio.create_task(runner.chat("wait", number=number)) for number in range(8)]
        await eventually(lambda: runner.launch.noted("asked"))

        async def all_inside() -> bool:
            return bool((await runner.status())["inFlight"] == 8)

        await eventually(all_inside)
        runner.stop.set()
        await runner.until("draining")
        (tmp_path / "open").touch()
        answers = await asyncio.gather(*asked)
        assert [status for status, _ in answers] == [200] * 8
        await _ended(runner)


async def test_cut_off_requests_go_elsewhere(tmp_path: Path) -> None:
    """Requests without an answer at the end of the drain are told that the runner stops."""
    config = replace(CONFIG, drain_timeout=0.2)
    async with running(tmp_path, "--slots", "1", config=config) as runner:
        asked = [asyncio.create_task(runner.chat("silent")) for _ in range(5)]
        await eventually(lambda: runner.launch.noted("asked"))
        runner.stop.set()
        for status, answer in await asyncio.gather(*asked):
            assert (status, answer["error"]["code"]) == (503, "Terminating")
        await _ended(runner)


async def test_engine_killed_while_warming(tmp_path: Path) -> None:
    """An engine that dies in its warm-up is started again, and the death is told."""
    delays = Delays(first=60)
    async with running(tmp_path, "--hang-warm-up", delays=delays, until="warming") as runner:
        await eventually(lambda: runner.launch.noted("asked"))
        os.kill(runner.launch.children[-1].pid, signal.SIGKILL)
        found = await runner.until("restarting")
        assert found["reason"] == "EngineFailed"
        assert "SIGKILL" in found["message"] or "broke off the warm-up" in found["message"]


async def test_engine_killed_between_requests(tmp_path: Path) -> None:
    """Requests that come after a death are refused with its reason, then answered again."""
    async with running(tmp_path, delays=Delays(first=3.0)) as runner:
        assert (await runner.chat())[0] == 200
        os.kill(runner.launch.children[-1].pid, signal.SIGKILL)
        await runner.until("restarting")
        status, answer = await runner.chat()
        assert (status, answer["error"]["code"]) == (503, "EngineFailed")
        await runner.until("ready")
        assert (await runner.chat())[0] == 200


async def test_idle_engine_that_hangs(tmp_path: Path) -> None:
    """A stopped engine is found without any request, killed, told and started again."""
    delays = Delays(first=3.0)
    async with running(tmp_path, settings=HANGING, delays=delays) as runner:
        freeze(runner.launch.children[-1].pid)
        found = await runner.until("restarting")
        assert found["reason"] == "EngineFailed"
        assert "did not answer for 2.5 s" in found["message"]
        assert runner.launch.children[0].poll() == -signal.SIGKILL
        assert (await runner.until("ready"))["restarts"] == 1


async def test_busy_engine_that_hangs(tmp_path: Path) -> None:
    """A request without an answer is sent to the new engine; an open stream ends in words."""
    async with running(tmp_path, settings=HANGING) as runner:
        body = {"messages": [], "script": "gated_stream", "stream": True}
        async with runner.client.post("/v1/chat/completions", json=body) as stream:
            await stream.content.readany()
            freeze(runner.launch.children[-1].pid)
            waiting = asyncio.create_task(runner.chat())
            assert b"did not answer for" in await stream.read()
        assert (await waiting)[0] == 200


async def test_stream_is_a_sign_of_life(tmp_path: Path) -> None:
    """An engine whose threads are all busy with streams answers no /health, and is not killed."""
    async with running(tmp_path, "--mute-health", settings=HANGING) as runner:
        body = {"messages": [], "script": "endless", "pause": 0.05}
        async with runner.client.post("/v1/chat/completions", json=body) as stream:
            await stream.content.readany()
            (tmp_path / "mute").touch()
            begin = time.monotonic()
            while time.monotonic() - begin < 1.4 * HANGING.hang_timeout:
                assert await stream.content.readany()
            assert (await runner.status())["restarts"] == 0
        await runner.until("restarting")


async def test_watch_can_be_off(tmp_path: Path) -> None:
    """With hang_timeout 0 nobody asks, and an engine that ends is still seen."""
    settings = replace(SETTINGS, hang_timeout=0.0)
    async with running(tmp_path, settings=settings, delays=Delays(first=60)) as runner:
        os.kill(runner.launch.children[-1].pid, signal.SIGKILL)
        await runner.until("restarting")


async def test_stopped_engine_can_be_stopped(tmp_path: Path) -> None:
    """A hanging engine does not hold up the end of the runner for longer than stop_grace."""
    settings = replace(SETTINGS, stop_grace=0.2)
    async with running(tmp_path, settings=settings) as runner:
        freeze(runner.launch.children[-1].pid)
        runner.stop.set()
        await _ended(runner)
        assert runner.launch.children[-1].poll() == -signal.SIGKILL
