"""Ollama's questions on their way through a runner, in front of a scripted engine."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from modelrunner_protocol.wire import Mode
from tests.support.scripted_runner import CONFIG, SETTINGS, Served, eventually, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runner(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A ready runner, one for all tests."""
    async with running(tmp_path_factory.mktemp("translation")) as served:
        yield served


def body(script: str, **more: Any) -> dict[str, Any]:
    """A chat whose engine follows `script`."""
    return {
        "model": "gpt-x",
        "messages": [{"role": "user", "content": f"script: {script}"}],
        **more,
    }


async def lines(runner: Served, script: str, **more: Any) -> list[dict[str, Any]]:
    """The lines of a chat's answer."""
    async with runner.client.post("/api/chat", json=body(script, **more)) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/x-ndjson"
        return [json.loads(line) async for line in answer.content]


async def whole(
    runner: Served, path: str, data: dict[str, Any], status: int = 200
) -> dict[str, Any]:
    """An answer in one object."""
    async with runner.client.post(path, json=data) as answer:
        found: dict[str, Any] = await answer.json()
        assert (answer.status, answer.content_type) == (status, "application/json"), found
        return found


async def test_what_the_engine_is_asked(runner: Served) -> None:
    """OpenAI's words, the engine's path, and none of Ollama's own members."""
    told = await whole(
        runner, "/api/chat", body("repeat", stream=False, keep_alive="5m", options={"top_k": 3})
    )
    asked = json.loads(told["message"]["content"])
    assert asked["path"] == "/v1/chat/completions"
    assert asked["body"] == {
        "top_k": 3,
        "stream": False,
        "messages": [{"role": "user", "content": "script: repeat"}],
    }
    assert (await runner.status())["keepAlive"] == 300
    assert told["model"] == "gpt-x"
    assert (told["done"], told["done_reason"]) == (True, "stop")
    assert (told["prompt_eval_count"], told["eval_count"]) == (7, 11)
    assert (told["prompt_eval_duration"], told["eval_duration"]) == (1_500_000, 2_500_000)


async def test_a_stream(runner: Served) -> None:
    """Thoughts and text, piece by piece."""
    told = await lines(runner, "think")
    assert [line["message"] for line in told] == [
        {"role": "assistant", "content": "", "thinking": "hm"},
        {"role": "assistant", "content": "so"},
        {"role": "assistant", "content": ""},
    ]
    assert told[-1]["eval_count"] == 11
    found = await whole(runner, "/api/chat", body("think", stream=False))
    assert found["message"] == {"role": "assistant", "content": "so", "thinking": "hm"}


async def test_tools(runner: Served) -> None:
    """Arguments are objects, streamed and not."""
    calls = [
        {"id": "id-w", "function": {"index": 0, "name": "w", "arguments": {"city": "Rome"}}},
        {"id": "id-t", "function": {"index": 1, "name": "t", "arguments": {}}},
    ]
    told = await lines(runner, "tools", tools=[{"function": {"name": "w"}}])
    assert [line["message"].get("tool_calls") for line in told] == [calls, None]
    found = await whole(runner, "/api/chat", body("tools", stream=False))
    assert found["message"]["tool_calls"] == calls


async def test_errors_within_a_stream(runner: Served) -> None:
    """A last line, which clients raise."""
    told = await lines(runner, "error_in_stream")
    assert told[0]["message"]["content"] == "word"
    assert told[1:] == [{"error": "the grammar broke"}]


@pytest.mark.parametrize(
    ("path", "data", "status", "words"),
    [
        ("/api/chat", {"model": "nope", "messages": []}, 404, "model 'nope' not found"),
        ("/api/generate", {"model": "nope", "prompt": "x"}, 404, "model 'nope' not found"),
        ("/api/chat", {"messages": []}, 400, "model is required"),
        ("/api/chat", {"model": "smol", "keep_alive": "soon"}, 400, "keep-alive"),
        ("/api/embed", {"model": "smol", "input": "x"}, 400, "runs in mode completion"),
        ("/api/embeddings", {"model": "smol", "prompt": "x"}, 400, "runs in mode completion"),
        ("/api/chat", body("failure"), 500, "the computation failed"),
        ("/api/chat", body("parse_error"), 400, "unpaired surrogate"),
        ("/api/chat", body("rubbish"), 502, "not HTTP"),
    ],
    ids=range(9),
)
async def test_errors(
    runner: Served, path: str, data: dict[str, Any], status: int, words: str
) -> None:
    """One sentence, with the right status."""
    found = await whole(runner, path, data, status)
    assert list(found) == ["error"]
    assert words in found["error"]


@pytest.mark.parametrize(
    ("data", "reason"), [({}, "load"), ({"keep_alive": 0}, "unload"), ({"prompt": ""}, "load")]
)
async def test_without_a_prompt(runner: Served, data: dict[str, Any], reason: str) -> None:
    """The engine is not asked; the operator learns of the keep_alive."""
    found = await whole(runner, "/api/generate", {"model": "smol", **data})
    assert (found["response"], found["done"], found["done_reason"]) == ("", True, reason)
    found = await whole(runner, "/api/chat", {"model": "smol", "messages": [], **data})
    assert found["message"] == {"role": "assistant", "content": ""}
    if reason == "unload":
        assert (await runner.status())["keepAlive"] == 0


async def test_an_engine_that_talks_nonsense(runner: Served) -> None:
    """It is not listened to for ever."""
    told = await lines(runner, "babble")
    assert [list(line) for line in told] == [["error"]]
    await eventually(lambda: runner.launch.noted("left"))
    (runner.launch.folder / "left").unlink()
    (runner.launch.folder / "sent").unlink()


async def test_a_client_that_leaves(runner: Served) -> None:
    """The engine stops generating."""
    async with runner.client.post("/api/chat", json=body("endless")) as answer:
        assert json.loads(await answer.content.readline())["done"] is False
        answer.close()
    await eventually(lambda: runner.launch.noted("left"))


async def test_an_engine_that_dies_within_a_stream(tmp_path: Path) -> None:
    """The last line says why."""
    async with running(tmp_path, settings=SETTINGS) as runner:
        told = await lines(runner, "die_in_stream")
        assert told[0]["message"]["content"] == "word"
        assert "out of paper" in told[-1]["error"]
        await runner.until("ready")
        assert "error" in await whole(runner, "/api/chat", body("die_after_head"), 502)


async def test_embeddings(tmp_path: Path) -> None:
    """What is no vector is not told as one; nothing to embed needs no engine."""
    async with running(tmp_path, config=replace(CONFIG, mode=Mode.EMBEDDING)) as runner:
        found = await whole(runner, "/api/embed", {"model": "smol", "input": "x"}, 502)
        assert "cannot be read" in found["error"]
        found = await whole(runner, "/api/embed", {"model": "smol", "input": []})
        assert (found["model"], found["embeddings"]) == ("smol", [])
        found = await whole(runner, "/api/embeddings", {"model": "smol"})
        assert found == {"embedding": []}
        found = await whole(runner, "/api/chat", body("repeat"), 400)
        assert "runs in mode embedding" in found["error"]
