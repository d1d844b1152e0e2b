"""A whole runner in front of an engine that misbehaves on purpose."""

import asyncio
import errno
import itertools
import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientPayloadError, ClientTimeout, ServerDisconnectedError
from prometheus_client.parser import text_string_to_metric_families

from modelrunner_protocol.wire import Mode, Warmup
from runnerd.engines import upstream
from runnerd.engines.cgroup import Cgroup
from runnerd.engines.restarts import Delays
from runnerd.server.process import Runner
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
        os.kill(runner.launch.children[-1].pid, signal.SIGSTOP)
        async with asyncio.timeout(4), runner.client.get("/metrics") as answer:
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
            assert (await answer.json())["error"]["code"] == "Starting"
        assert (await runner.get("/v1/models"))[1]["data"][0]["id"] == "smol"


async def test_stream_untouched(tmp_path: Path) -> None:
    """Every byte of a stream arrives as the engine wrote it, comments included."""
    async with running(tmp_path) as runner:
        body = {"messages": [], "script": "stream", "stream": True, "events": 2}
        async with runner.client.post("/v1/chat/completions", json=body) as answer:
            assert answer.headers["Content-Type"] == "text/event-stream"
            assert answer.headers["X-Request-Id"]
            event = b'data: {"choices":[{"delta":{"content":"word"}}]}\n\n'
            assert await answer.read() == b": a comment\n\n" + event * 2 + b"data: [DONE]\n\n"


async def test_usage_at_the_end_of_a_stream(tmp_path: Path) -> None:
    """The chunk that tells the usage, without choices, is passed on like any other."""
    async with running(tmp_path) as runner:
        body = {"messages": [], "script": "usage_stream", "stream": True}
        async with runner.client.post("/v1/chat/completions", json=body) as answer:
            events = (await answer.text()).split("\n\n")
        assert json.loads(events[1].removeprefix("data: "))["usage"] == {"total_tokens": 5}
        assert events[2:] == ["data: [DONE]", ""]


@pytest.mark.parametrize(
    ("mode", "paths"),
    [
        (Mode.COMPLETION, ("/v1/chat/completions", "/v1/completions")),
        (Mode.EMBEDDING, ("/v1/embeddings",)),
    ],
)
async def test_every_route(tmp_path: Path, mode: Mode, paths: tuple[str, ...]) -> None:
    """Each path under each prefix reaches the engine's own, streaming and not."""
    async with running(tmp_path, config=replace(CONFIG, mode=mode)) as runner:
        for prefix, path in itertools.product(("", "/engines", "/engines/llama.cpp"), paths):
            body: dict[str, Any] = {"messages": [], "model": "ml/smol"}
            async with runner.client.post(prefix + path, json=body) as answer:
                assert (await answer.json())["path"] == path
            body |= {"script": "stream", "stream": True}
            async with runner.client.post(prefix + path, json=body) as answer:
                assert (await answer.read()).endswith(b"data: [DONE]\n\n")


async def test_answers_of_every_size(tmp_path: Path) -> None:
    """An answer arrives whole, whether it is kept for a moment or passed on piece by piece."""
    async with running(tmp_path) as runner:
        for size in (0, 1, 1 << 20, (1 << 20) + 1, 5 << 20):
            body = {"messages": [], "script": "large", "size": size}
            async with runner.client.post("/v1/chat/completions", json=body) as answer:
                assert answer.headers["Content-Length"] == str(size)
                assert await answer.read() == b"x" * size


async def test_answer_longer_than_its_head_says(tmp_path: Path) -> None:
    """What follows a whole answer is not taken for the next one, to another client."""
    async with running(tmp_path) as runner:
        for _ in range(3):
            # Whether the surplus is seen before the answer is passed on is a matter of luck.
            assert (await runner.chat("long_answer"))[0] in {200, 502}
            assert (await runner.chat(number=7))[1]["body"]["number"] == 7


async def test_headers(tmp_path: Path) -> None:
    """Hop-by-hop headers stay on their hop; the request's id passes both ways."""
    async with running(tmp_path) as runner:
        headers = {"X-Request-Id": "abc-1", "Authorization": "Bearer secret", "traceparent": "t"}
        body: dict[str, Any] = {"messages": []}
        async with runner.client.post("/v1/chat/completions", json=body, headers=headers) as answer:
            assert answer.headers["X-Request-Id"] == "abc-1"
            seen = (await answer.json())["headers"]
            assert seen["X-Request-Id"] == "abc-1"
            assert seen["traceparent"] == "t"
            assert "Authorization" not in seen
        body = {"messages": [], "script": "hop"}
        async with runner.client.post("/v1/chat/completions", json=body) as answer:
            assert answer.headers["X-Kept"] == "yes"
            assert answer.headers["Server"] == "runnerd"
            for name in ("Keep-Alive", "Proxy-Authenticate", "Access-Control-Allow-Origin"):
                assert name not in answer.headers


async def test_engine_dies_before_first_byte(tmp_path: Path) -> None:
    """The request waits for the new engine and is sent to it once more."""
    async with running(tmp_path) as runner:
        status, answer = await runner.chat("die_once")
        assert (status, answer["body"]["script"]) == (200, "die_once")
        found = await runner.status()
        assert found["restarts"] == 1
        assert "reason" not in found


async def test_engine_dies_twice(tmp_path: Path) -> None:
    """A request that kills every engine is not sent a third time, and learns why."""
    async with running(tmp_path) as runner:
        status, answer = await runner.chat("die")
        assert status == 502
        assert answer["error"]["code"] == "engine_failed"
        assert "SIGKILL" in answer["error"]["message"]
        await runner.until("ready")
        assert (await runner.status())["restarts"] == 2


async def test_retry_wait_is_bounded(tmp_path: Path) -> None:
    """A request does not wait longer than retry_wait for a new engine."""
    settings = replace(SETTINGS, retry_wait=0.3)
    async with running(tmp_path, settings=settings, delays=Delays(first=60)) as runner:
        status, answer = await runner.chat("die")
        assert status == 503
        assert answer["error"]["code"] == "EngineFailed"


async def test_stale_connection(tmp_path: Path) -> None:
    """A connection that the living engine closed costs a retry, not an error."""
    async with running(tmp_path) as runner:
        assert (await runner.chat("hang_up_once"))[0] == 200
        assert (await runner.status())["restarts"] == 0


@pytest.mark.parametrize("last", ["", 'data: {"half'])
async def test_engine_dies_in_stream(tmp_path: Path, last: str) -> None:
    """The stream ends with an error event that says why, on a line of its own, and no [DONE]."""
    async with running(tmp_path) as runner:
        body = {"messages": [], "script": "die_in_stream", "stream": True, "last": last}
        async with runner.client.post("/v1/chat/completions", json=body) as answer:
            text = (await answer.read()).decode()
        assert "[DONE]" not in text
        event = text.rstrip("\n").rpartition("\n\n")[2]
        error = json.loads(event.removeprefix("data: "))["error"]
        assert error["code"] == "engine_failed"
        assert "exit code 7" in error["message"]
        assert "out of paper" in error["message"]


async def test_engine_dies_in_body(tmp_path: Path) -> None:
    """A short answer cut in its middle is a 502; a long one is cut for the client too."""
    async with running(tmp_path) as runner:
        assert (await runner.chat("die_in_body"))[0] == 502
        await runner.until("ready")
        with pytest.raises((ClientPayloadError, ServerDisconnectedError)):
            await runner.chat("die_in_body", length=1 << 24)


async def test_engine_speaks_rubbish(tmp_path: Path) -> None:
    """An answer that is not HTTP is a 502 without insides."""
    async with running(tmp_path) as runner:
        status, answer = await runner.chat("rubbish")
        assert status == 502
        assert "not HTTP" in answer["error"]["message"]


async def test_engine_blames_the_request(tmp_path: Path) -> None:
    """A 500 about the request's form becomes a 400; another 500 stays."""
    async with running(tmp_path) as runner:
        assert (await runner.chat("parse_error"))[0] == 400
        assert (await runner.chat("failure"))[0] == 500


async def test_client_leaves(tmp_path: Path) -> None:
    """The engine's connection closes with the client's, before and within an answer."""
    async with running(tmp_path) as runner:
        asked = asyncio.create_task(runner.chat("silent"))
        await eventually(lambda: runner.launch.noted("asked"))
        asked.cancel()
        await eventually(lambda: runner.launch.noted("left"))
        (tmp_path / "left").unlink()
        body = {"messages": [], "script": "endless", "pause": 0.01}
        async with runner.client.post("/v1/chat/completions", json=body) as answer:
            await answer.content.readany()
        await eventually(lambda: runner.launch.noted("left"))

        async def idle() -> bool:
            return bool((await runner.status())["inFlight"] == 0)

        await eventually(idle)
        async with runner.client.get("/metrics") as answer:
            assert 'status="499"} 2.0' in await answer.text()


async def test_slow_reader(tmp_path: Path) -> None:
    """A client that stops reading stops the engine's writing; nothing is collected for it."""
    async with running(tmp_path) as runner:
        reader, writer = await asyncio.open_connection("127.0.0.1", runner.port, limit=1024)
        body = json.dumps({"messages": [], "script": "endless", "size": 60_000}).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await reader.readline()
        note, last = tmp_path / "sent", -1

        async def still() -> bool:
            nonlocal last
            before, last = last, int(note.read_text() or 0) if note.exists() else -1
            await asyncio.sleep(0.3)
            return last == before > 0

        await eventually(still)
        # What fits into the sockets' buffers on the way, and no more.
        assert last < 16 << 20
        writer.transport.abort()
        await eventually(lambda: runner.launch.noted("left"))


async def test_stalled_reader_is_cut_off(tmp_path: Path) -> None:
    """A client that takes nothing for stall_timeout frees its place at the engine."""
    settings = replace(SETTINGS, stall_timeout=1.0)
    async with running(tmp_path, settings=settings) as runner:
        reader, writer = await asyncio.open_connection("127.0.0.1", runner.port, limit=1024)
        body = json.dumps({"messages": [], "script": "endless", "size": 60_000}).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await reader.readline()
        await eventually(lambda: runner.launch.noted("left"))
        writer.transport.abort()


async def test_turns_and_queue(tmp_path: Path) -> None:
    """The engine sees slots + 2 requests; one over max_in_flight gets 429."""
    settings = replace(SETTINGS, max_in_flight=5)
    async with running(tmp_path, "--slots", "1", settings=settings) as runner:
        asked = [asyncio.create_task(runner.chat("silent")) for _ in range(5)]

        async def crowded() -> bool:
            async with runner.client.get("/metrics") as answer:
                return 'engine="llama.cpp"} 2.0' in [
                    line.partition("runner=")[2].partition(",")[2]
                    for line in (await answer.text()).splitlines()
                    if line.startswith("runnerd_waiting")
                ]

        await eventually(crowded)
        async with runner.client.post("/v1/completions", json={"prompt": "x"}) as answer:
            assert answer.status == 429
            assert answer.headers["Retry-After"] == "1"
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await eventually(lambda: runner.launch.noted("left"))
        assert (await runner.chat())[0] == 200


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
        status, answer2 = await runner.chat()
        assert (status, answer2["error"]["code"]) == (503, "EngineFailed")


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
    config = replace(CONFIG, startup_timeout=0.5)
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
    runner = Runner(CONFIG, SETTINGS, launch, started_at=0.0)
    async with asyncio.timeout(10):
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
        async with asyncio.timeout(5):
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
        async with asyncio.timeout(5):
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
