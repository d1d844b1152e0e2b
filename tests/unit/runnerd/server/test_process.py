"""A whole runner in front of an engine that misbehaves on purpose."""

import asyncio
import errno
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientTimeout
from prometheus_client.parser import text_string_to_metric_families

from modelrunner_protocol.wire import Mode, Warmup
from runnerd.engines import upstream
from runnerd.engines.cgroup import Cgroup
from runnerd.engines.restarts import Delays
from runnerd.server.listener import open_listener
from runnerd.server.process import Runner
from tests.support.freezing import freeze
from tests.support.scripted_runner import CONFIG, SETTINGS, ScriptedLaunch, eventually, running


async def test_ready_then_serving(tmp_path: Path) -> None:
    """A healthy engine is warmed up, then a chat passes through and is counted."""
    async with running(tmp_path) as runner:
        status, answer = await runner.chat(model="gpt-x")
        assert status == 200
        assert answer["path"] == "/v1/chat/completions"
        assert answer["body"]["model"] == "gpt-x"
        assert (await runner.get("/readyz"))[0] == 200
        found = await runner.status()
        assert found["startedAt"] <= found["listeningAt"]
        assert found["engineReadyAt"] <= found["warmedAt"]
        assert found["inFlight"] == 0
        assert found["lastUsedAt"] >= found["warmedAt"]


async def test_metrics_of_both(tmp_path: Path) -> None:
    """/metrics holds own and engine's families, all with the same labels; no engine, own only."""
    async with running(tmp_path, delays=Delays(first=60)) as runner:
        await runner.chat()
        labels = 'namespace="ml",model="smol",runner="cpu",engine="llama.cpp"'
        async with runner.client.get("/metrics") as answer:
            text = await answer.text()
            assert answer.content_type == "text/plain"
        assert f"llamacpp:n{{{labels}}} 1\n" in text
        line = f'runnerd_requests_total{{{labels},route="chat_completions",status="2xx"}} 1.0\n'
        assert line in text
        os.kill(runner.launch.children[-1].pid, signal.SIGKILL)
        await runner.until("restarting")
        async with runner.client.get("/metrics") as answer:
            text = await answer.text()
        assert "llamacpp" not in text
        assert f"runnerd_ready{{{labels}}} 0.0\n" in text


@pytest.mark.parametrize("rubbish", [b"", b"\xff\x00 1\n", b"<html>\n", b"x" * (5 << 20)])
async def test_metrics_of_an_engine_that_gives_rubbish(tmp_path: Path, rubbish: bytes) -> None:
    """Whatever the engine says of itself, our own families can be read."""
    (tmp_path / "metrics").write_bytes(rubbish)
    async with running(tmp_path, "--metrics-file", str(tmp_path / "metrics")) as runner:
        async with runner.client.get("/metrics") as answer:
            families = list(text_string_to_metric_families(await answer.text()))
        assert all(family.name.startswith("runnerd_") for family in families)
        assert len(families) >= 5


async def test_metrics_of_an_engine_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's families are missing, ours are not, and the scrape ends in time."""
    monkeypatch.setattr(upstream, "_QUICK", ClientTimeout(total=0.2))
    async with running(tmp_path) as runner:
        freeze(runner.launch.children[-1].pid)
        async with asyncio.timeout(20), runner.client.get("/metrics") as answer:
            text = await answer.text()
        assert "runnerd_ready{" in text
        assert "llamacpp" not in text
        os.kill(runner.launch.children[-1].pid, signal.SIGCONT)


async def test_while_loading(tmp_path: Path) -> None:
    """A loading engine: alive, not ready, inference refused at once with a time to come back."""
    async with running(tmp_path, "--never-healthy", until="loading") as runner:
        async with runner.client.get("/healthz") as answer:
            assert answer.status == 200
        assert (await runner.get("/readyz"))[0] == 503
        async with runner.client.post("/v1/chat/completions", json={}) as answer:
            assert answer.status == 503
            assert answer.headers["Retry-After"] == "2"
            # Nothing was done of it, so whoever sent it may send it elsewhere, or hold it.
            assert answer.headers["X-Runner-Draining"] == "true"
            assert (await answer.json())["error"]["code"] == "Starting"
        assert (await runner.get("/v1/models"))[1]["data"][0]["id"] == "smol"


async def test_readiness_may_wait(tmp_path: Path) -> None:
    """`/readyz?wait=` answers in the moment the engine is ready, and not before its time is up."""
    async with running(tmp_path, "--never-healthy", until="loading") as runner:
        begin = time.monotonic()
        assert (await runner.get("/readyz?wait=0.2"))[0] == 503
        assert time.monotonic() - begin >= 0.2
        for odd in ("nan", "-1", "1e9", "soon", ""):
            assert (await runner.get(f"/readyz?wait={odd}"))[0] == 503
        waiting = asyncio.create_task(runner.get("/readyz?wait=9"))
        await asyncio.sleep(0)
        runner.stop.set()
        assert (await waiting)[0] == 503
    async with running(tmp_path, until="") as runner:
        assert (await runner.get("/readyz?wait=9"))[0] == 200


async def test_crash_is_told_and_mended(tmp_path: Path) -> None:
    """An engine that dies is started again; its reason stays until it is ready."""
    async with running(tmp_path, delays=Delays(first=0.5)) as runner:
        os.kill(runner.launch.children[-1].pid, signal.SIGSEGV)
        found = await runner.until("restarting")
        assert found["reason"] == "EngineFailed"
        assert "SIGSEGV" in found["message"]
        assert (await runner.get("/readyz"))[1]["reason"] == "EngineFailed"
        found = await runner.until("ready")
        assert found["restarts"] == 1
        assert "reason" not in found


async def test_gives_up(tmp_path: Path) -> None:
    """An engine that never gets ready is given up after five starts, and the pod stays."""
    arguments = ("--exit", "3", "--say", "error: the file is corrupt")
    async with running(tmp_path, *arguments, until="failed") as runner:
        found = await runner.status()
        assert found["reason"] == "EngineFailed"
        assert "exit code 3 while it was loading" in found["message"]
        assert "the file is corrupt" in found["message"]
        assert "not started again" in found["message"]
        assert len((tmp_path / "starts").read_text().splitlines()) == 5
        async with runner.client.get("/healthz") as answer:
            assert answer.status == 200
        async with runner.client.post("/v1/chat/completions", json={"messages": []}) as answer:
            # Not for another runner: this is the answer.
            assert "X-Runner-Draining" not in answer.headers
            assert (answer.status, (await answer.json())["error"]["code"]) == (503, "EngineFailed")


async def test_never_gives_up_what_once_worked(tmp_path: Path) -> None:
    """An engine that was ready before is started again more than five times."""
    async with running(tmp_path, "--exit", "3", "--exit-from", "2") as runner:
        os.kill(runner.launch.children[-1].pid, signal.SIGKILL)

        async def many() -> bool:
            return bool((await runner.status())["restarts"] > 6)

        await eventually(many)
        assert (await runner.status())["state"] == "restarting"


async def test_startup_times_out(tmp_path: Path) -> None:
    """An engine that is not ready in time is killed and given up, with what it said last."""
    config = replace(CONFIG, startup_timeout=3.0)
    arguments = ("--never-healthy", "--say", "still loading")
    async with running(tmp_path, *arguments, config=config, until="failed") as runner:
        found = await runner.status()
        assert found["reason"] == "StartupTimedOut"
        assert "still loading" in found["message"]
        assert runner.launch.children[-1].poll() == -signal.SIGKILL


async def test_warm_up_refused(tmp_path: Path) -> None:
    """An engine that cannot do its work is not ready, and says what to change."""
    config = replace(CONFIG, mode=Mode.EMBEDDING)
    delays = Delays(first=0.01, attempts=2)
    async with running(
        tmp_path, "--refuse-warm-up", config=config, delays=delays, until="failed"
    ) as runner:
        found = await runner.status()
        assert "Pooling type 'none'" in found["message"]
        assert '"--pooling"' in found["message"]
    config = replace(CONFIG, warmup=Warmup(enabled=False))
    async with running(tmp_path, "--refuse-warm-up", config=config) as runner:
        assert (await runner.status())["state"] == "ready"


async def test_warm_up_broken_off(tmp_path: Path) -> None:
    """An engine that closes the connection instead of answering is started again."""
    delays = Delays(first=0.01, attempts=2)
    async with running(tmp_path, "--drop-warm-up", delays=delays, until="failed") as runner:
        assert "broke off the warm-up" in (await runner.status())["message"]


@pytest.mark.parametrize(
    ("failure", "state"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), "failed"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "ready"),
    ],
)
async def test_first_start_fails(tmp_path: Path, failure: OSError, state: str) -> None:
    """A program that cannot be run is given up at once; a passing want is tried again."""
    async with running(tmp_path, failure=failure, until=state) as runner:
        found = await runner.status()
        assert found["restarts"] == (state == "ready")
        assert ("cannot be started: No such file" in found.get("message", "")) is (
            state == "failed"
        )


async def test_error_of_ours_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner whose supervisor fails does not stay: it says so and ends as failed."""

    async def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("runnerd.engines.upstream.until_healthy", fail)
    launch = ScriptedLaunch(tmp_path)
    runner = Runner(CONFIG, SETTINGS, launch, open_listener(0, 10), started_at=0.0)
    async with asyncio.timeout(60):
        assert not await runner.serve(asyncio.Event())
    assert launch.children[-1].poll() is not None


async def test_out_of_memory(tmp_path: Path) -> None:
    """SIGKILL and a risen oom_kill counter mean OutOfMemory, with the limit."""
    group = tmp_path / "group"
    group.mkdir()
    (group / "memory.events").write_text("oom 0\noom_kill 0\n")
    (group / "memory.max").write_text(str(512 << 20))
    cgroup = Cgroup(str(group), "/dev/null")
    async with running(tmp_path, cgroup=cgroup, delays=Delays(first=60)) as runner:
        (group / "memory.events").write_text("oom 1\noom_kill 1\n")
        os.kill(runner.launch.children[-1].pid, signal.SIGKILL)
        found = await runner.until("restarting")
        assert found["reason"] == "OutOfMemory"
        assert "512 MiB" in found["message"]


async def test_drain(tmp_path: Path) -> None:
    """Draining: a stream that was open ends whole, new requests are sent elsewhere, then end."""
    async with running(tmp_path) as runner:
        assert runner.ended
        body = {"messages": [], "script": "gated_stream", "stream": True}
        async with runner.client.post("/v1/chat/completions", json=body) as stream:
            await stream.content.readany()
            runner.stop.set()
            await runner.until("draining")
            assert (await runner.get("/readyz"))[0] == 503
            async with runner.client.post("/v1/chat/completions", json={}) as answer:
                assert answer.status == 503
                assert answer.headers["X-Runner-Draining"] == "true"
                assert answer.headers["Connection"] == "close"
                assert answer.headers["Retry-After"] == "1"
            assert not runner.ended.done()
            (tmp_path / "open").touch()
            assert (await stream.read()).endswith(b"data: [DONE]\n\n")
        async with asyncio.timeout(60):
            assert await runner.ended
        assert runner.launch.children[-1].poll() == 0


async def test_drain_timeout(tmp_path: Path) -> None:
    """A stream that outlives drain_timeout ends with an event that says so."""
    config = replace(CONFIG, drain_timeout=0.2)
    async with running(tmp_path, config=config) as runner:
        body = {"messages": [], "script": "gated_stream", "stream": True}
        async with runner.client.post("/v1/chat/completions", json=body) as stream:
            await stream.content.readany()
            runner.stop.set()
            assert b"the runner is stopping" in await stream.read()
        assert runner.ended
        assert await runner.ended


async def test_second_signal_hastens(tmp_path: Path) -> None:
    """A second SIGTERM ends the wait for open requests; an engine that ignores it is killed."""
    config = replace(CONFIG, drain_timeout=600)
    settings = replace(SETTINGS, stop_grace=0.1)
    async with running(tmp_path, "--ignore-term", config=config, settings=settings) as runner:
        asked = asyncio.create_task(runner.chat("silent"))
        await eventually(lambda: runner.launch.noted("asked"))
        runner.stop.set()
        await runner.until("draining")
        runner.stop.set()
        assert runner.ended
        async with asyncio.timeout(60):
            assert await runner.ended
        assert (await asked)[0] in {502, 503}
        assert runner.launch.children[-1].poll() == -signal.SIGKILL


async def test_group_goes_with_the_engine(tmp_path: Path) -> None:
    """A process that the engine started does not outlive it."""
    async with running(tmp_path, "--leave-child", delays=Delays(first=60)) as runner:
        assert not _gone(tmp_path / "grandchild")
        os.kill(runner.launch.children[-1].pid, signal.SIGKILL)
        await runner.until("restarting")
        await eventually(lambda: _gone(tmp_path / "grandchild"))


def _gone(note: Path) -> bool:
    """Whether the process whose number stands in `note` has ended."""
    stat = Path("/proc", note.read_text(encoding="utf-8"), "stat")
    return not stat.exists() or " Z " in stat.read_text(encoding="utf-8")
