"""Requests and answers on their way through a runner, in front of an engine that misbehaves."""

import asyncio
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientPayloadError, ServerDisconnectedError

from modelrunner_protocol.wire import Mode
from runnerd.engines.restarts import Delays
from tests.support.scripted_runner import CONFIG, SETTINGS, Served, eventually, running


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
        (Mode.COMPLETION, ("/v1/messages", "/v1/messages/count_tokens")),
        (Mode.EMBEDDING, ("/v1/embeddings", "/tokenize")),
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
        body = {"messages": [], "script": "die"}
        async with runner.client.post("/v1/chat/completions", json=body) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (503, "EngineFailed")
            # It may be what the engine died of: no other one shall meet it.
            assert "X-Runner-Draining" not in answer.headers


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


async def test_engine_dies_in_a_stream_of_named_events(tmp_path: Path) -> None:
    """The last event has the name and the shape that these clients raise as an error."""
    async with running(tmp_path) as runner:
        body = {"messages": [], "script": "die_in_stream", "stream": True}
        async with runner.client.post("/anthropic/v1/messages", json=body) as answer:
            text = (await answer.read()).decode()
        name, data = text.rstrip("\n").rpartition("\n\n")[2].split("\n")
        told = json.loads(data.removeprefix("data: "))
        assert name == "event: error"
        assert told["type"] == "error"
        assert "exit code 7" in told["error"]["message"]


@pytest.mark.parametrize(("script", "status"), [("die", 502), ("rubbish", 502), ("failure", 500)])
async def test_failures_on_the_routes_of_anthropic(
    tmp_path: Path, script: str, status: int
) -> None:
    """Anthropic's shape, whatever happened to the engine."""
    async with running(tmp_path) as runner:
        body = {"messages": [], "script": script}
        async with runner.client.post("/v1/messages", json=body) as answer:
            assert answer.status == status
            found = await answer.json()
        assert found["type"] == "error"
        assert found["error"]["type"] == "api_error"


async def test_engine_dies_before_its_first_event(tmp_path: Path) -> None:
    """A stream of which nothing was passed on yet is an error with a status of its own."""
    async with running(tmp_path) as runner:
        status, answer = await runner.chat("die_after_head", stream=True)
        assert status == 502
        assert "exit code 7" in answer["error"]["message"]


async def test_head_comes_with_the_first_event(tmp_path: Path) -> None:
    """A client wakes once for both, not once for a head that tells it nothing."""
    async with running(tmp_path) as runner:
        reader, writer = await asyncio.open_connection("127.0.0.1", runner.port)
        body = b'{"messages": [], "script": "gated_stream", "stream": true}'
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        assert b"word" in await reader.read(1 << 16)
        writer.transport.abort()


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
        writer = await _endless(runner)
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
        writer = await _endless(runner)
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


async def _endless(runner: Served) -> asyncio.StreamWriter:
    """Ask for a stream without end, and read nothing of it but its first line."""
    reader, writer = await asyncio.open_connection("127.0.0.1", runner.port, limit=1024)
    body = json.dumps({"messages": [], "script": "endless", "size": 60_000}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await reader.readline()
    return writer


CHUNK = '{"choices":[{"delta":{"content":"\\"model\\":\\"smol\\""}}],"model":"smol"}'


async def _named(runner: Served, path: str, model: str, says: str, **more: Any) -> str:
    body = {"messages": [], "model": model, "script": "named", "says": says, **more}
    async with runner.client.post(path, json=body) as answer:
        assert answer.status == 200
        return await answer.text()


async def test_the_name_that_the_client_used(tmp_path: Path) -> None:
    """Whole answers and streams in pieces of any size; the engine's own name changes nothing."""
    async with running(tmp_path) as runner:
        for path in ("/v1/chat/completions", "/v1/completions"):
            said = await _named(runner, path, "ai/smol:latest", CHUNK)
            assert json.loads(said) == {**json.loads(CHUNK), "model": "ai/smol:latest"}
            assert await _named(runner, path, "smol", CHUNK) == CHUNK
            for size in (1, 3, 7, 1000):
                stream = f"data: {CHUNK}\n\ndata: [DONE]\n\n"
                said = await _named(runner, path, "gpt-x", stream, size=size, stream=True)
                assert said == stream.replace('"model":"smol"}', '"model":"gpt-x"}')
                assert await _named(runner, path, "smol", stream, size=size, stream=True) == stream


async def test_the_name_in_a_long_answer(tmp_path: Path) -> None:
    """One that is passed on in pieces although its length is known gets another length."""
    async with running(tmp_path) as runner:
        said = await _named(runner, "/v1/completions", "ml/smol", CHUNK, pad=1 << 19)
        assert json.loads(said)["model"] == "ml/smol"
        assert len(said) == (1 << 20) + len(CHUNK) + len("ml/")


LOST = (
    'event: content_block_start\ndata: {"type":"content_block_start"}\n\n'
    'event: message_stop\ndata: {"type":"message_stop"}\n\n'
)
"""What llama-server b10434 says when the first token is half an emoji, shortened."""


PING = 'event: ping\ndata: {"type":"ping"}\n\n'


async def test_a_stream_of_anthropics_without_its_start(tmp_path: Path) -> None:
    """Its clients die of it, so it is said here; whoever said it is believed."""
    async with running(tmp_path) as runner:
        for before in ("", ": ping\n\n"):
            said = await _named(
                runner, "/v1/messages", "gpt-x", before + LOST, size=5000, stream=True
            )
            head, _, rest = said.partition("event: content_block_start")
            start = json.loads(head.split("data: ")[1].split("\n\n")[0])
            assert start["message"]["model"] == "gpt-x"
            assert start["message"]["id"].startswith("msg_")
            assert PING in head
            assert "event: content_block_start" + rest == LOST
        start = 'event: message_start\ndata: {"message":{"model":"smol"}}\n\n'
        whole = start + LOST
        said = await _named(runner, "/anthropic/v1/messages", "smol", whole, size=5000, stream=True)
        assert said == start + PING + LOST


async def test_a_stream_of_openais_without_its_role(tmp_path: Path) -> None:
    """Clients that put a message together from pieces look for it in the first one."""
    said = '"delta":{"content":"\U0001f600"}}],"object":"chat.completion.chunk"}\n\n'
    stream = f'data: {{"choices":[{{{said}data: {{"choices":[{{{said}data: [DONE]\n\n'
    async with running(tmp_path) as runner:
        told = await _named(runner, "/v1/chat/completions", "smol", stream, size=5000, stream=True)
        assert told == stream.replace('"delta":{', '"delta":{"role":"assistant",', 1)
