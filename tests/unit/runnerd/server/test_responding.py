"""Requests for responses on their way through a runner, in front of a scripted engine."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from modelrunner_protocol.response_ids import mark, mark_of
from modelrunner_protocol.wire import Mode
from tests.support.response_events import EventReader
from tests.support.scripted_runner import CONFIG, SETTINGS, Served, eventually, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATHS = [
    prefix + path
    for prefix in ("", "/engines", "/engines/llama.cpp")
    for path in ("/v1/responses", "/responses")
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runner(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A ready runner, one for all tests."""
    async with running(tmp_path_factory.mktemp("responding")) as served:
        yield served


def body(script: str, **more: Any) -> dict[str, Any]:
    """A request whose engine follows `script`."""
    return {"model": "gpt-x", "input": f"script: {script}", **more}


async def ask(
    runner: Served, data: Any, path: str = "/v1/responses", status: int = 200
) -> dict[str, Any]:
    """A response, or an error."""
    async with runner.client.post(path, json=data) as answer:
        found: dict[str, Any] = await answer.json()
        assert (answer.status, answer.content_type) == (status, "application/json"), found
        return found


async def get(runner: Served, path: str, status: int = 200) -> dict[str, Any]:
    """What is read at a path."""
    async with runner.client.get(path) as answer:
        found: dict[str, Any] = await answer.json()
        assert answer.status == status, found
        return found


async def events(runner: Served, data: dict[str, Any]) -> EventReader:
    """The events of a response."""
    async with runner.client.post("/v1/responses", json={**data, "stream": True}) as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        assert answer.headers["X-Request-Id"]
        reader = EventReader()
        reader.read((await answer.read()).decode("ascii"))
        return reader


def engine_saw(response: dict[str, Any]) -> dict[str, Any]:
    """What the engine was asked, by the answer of the script "repeat"."""
    text = response["output"][-1]["content"][0]["text"]
    found: dict[str, Any] = json.loads(text)
    assert found["path"] == "/v1/chat/completions"
    return found


@pytest.mark.parametrize("path", PATHS)
async def test_every_path(runner: Served, path: str) -> None:
    """Made, read, listed and deleted under each prefix."""
    made = await ask(runner, body("think"), path)
    assert made["status"] == "completed"
    assert made["model"] == "gpt-x"
    assert [item["type"] for item in made["output"]] == ["reasoning", "message"]
    assert made["output_text"] == "so"
    assert (made["usage"]["input_tokens"], made["usage"]["output_tokens"]) == (7, 11)
    one = f"{path}/{made['id']}"
    assert await get(runner, one) == made
    listed = await get(runner, f"{one}/input_items")
    (item,) = listed["data"]
    assert item["content"] == [{"type": "input_text", "text": "script: think"}]
    async with runner.client.head(one) as answer:
        assert answer.status == 200
    async with runner.client.delete(one) as answer:
        gone = {"id": made["id"], "object": "response.deleted", "deleted": True}
        assert await answer.json() == gone
    error = (await get(runner, one, 404))["error"]
    assert (error["code"], error["param"]) == ("not_found", "id")
    async with runner.client.delete(one) as answer:
        assert answer.status == 404


async def test_what_the_engine_is_asked(runner: Served) -> None:
    """The words of chat completions, and none that it does not know."""
    made = await ask(
        runner,
        body(
            "repeat",
            instructions="Be brief.",
            max_output_tokens=5,
            keep_alive="5m",
            metadata={"a": "b"},
        ),
    )
    assert engine_saw(made)["body"] == {
        "stream": False,
        "max_tokens": 5,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "script: repeat"},
        ],
    }
    assert (await runner.status())["keepAlive"] == 300
    assert (made["instructions"], made["metadata"]) == ("Be brief.", {"a": "b"})
    assert mark_of(made["id"]) == mark("127.0.0.1", runner.port)
    assert mark_of(made["output"][0]["id"]) == mark_of(made["id"])


async def test_the_whole_history(runner: Served) -> None:
    """What users said, too, over several turns; instructions only of the newest."""
    first = await ask(runner, body("think", instructions="Old."))
    second = await ask(runner, body("tools", previous_response_id=first["id"]))
    data = body("repeat", previous_response_id=second["id"], instructions="New.")
    outputs = [
        {"type": "function_call_output", "call_id": call["call_id"], "output": call["name"]}
        for call in second["output"]
    ]
    data["input"] = [*outputs, {"role": "user", "content": data["input"]}]
    third = await ask(runner, data)
    calls = [
        {"id": f"id-{name}", "type": "function", "function": {"name": name, "arguments": found}}
        for name, found in (("w", '{"city": "Rome"}'), ("t", "{}"))
    ]
    assert engine_saw(third)["body"]["messages"] == [
        {"role": "system", "content": "New."},
        {"role": "user", "content": "script: think"},
        {"role": "assistant", "content": "so", "reasoning_content": "hm"},
        {"role": "user", "content": "script: tools"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "id-w", "content": "w"},
        {"role": "tool", "tool_call_id": "id-t", "content": "t"},
        {"role": "user", "content": "script: repeat"},
    ]
    assert third["previous_response_id"] == second["id"]
    listed = await get(runner, f"/v1/responses/{third['id']}/input_items?order=asc&limit=3")
    assert [item["type"] for item in listed["data"]] == ["message", "reasoning", "message"]
    assert listed["has_more"]
    after = f"/v1/responses/{third['id']}/input_items?order=asc&after={listed['last_id']}"
    assert len((await get(runner, after))["data"]) == 6


async def test_references(runner: Served) -> None:
    """Items that are kept can be named instead of sent; the Vercel AI SDK does so."""
    first = await ask(runner, body("think"))
    references = [{"type": "item_reference", "id": item["id"]} for item in first["output"]]
    data = body("repeat")
    data["input"] = [*references, {"role": "user", "content": data["input"]}]
    second = await ask(runner, data)
    assert engine_saw(second)["body"]["messages"][0] == {
        "role": "assistant",
        "content": "so",
        "reasoning_content": "hm",
    }
    data["input"] = [{"type": "item_reference", "id": "msg_nowhere"}]
    error = (await ask(runner, data, status=404))["error"]
    assert error["param"] == "input"
    assert "msg_nowhere" in error["message"]


async def test_a_stream(runner: Served) -> None:
    """Its events, and at its end the response that is kept."""
    reader = await events(runner, body("think"))
    assert reader.last is not None
    assert [item["type"] for item in reader.items] == ["reasoning", "message"]
    assert reader.last["usage"]["total_tokens"] == 18
    assert await get(runner, f"/responses/{reader.last['id']}") == reader.last


async def test_calls_in_a_stream(runner: Served) -> None:
    """Two, one after the other, their arguments in pieces."""
    reader = await events(runner, body("tools"))
    assert [(item["name"], item["arguments"]) for item in reader.items] == [
        ("w", '{"city": "Rome"}'),
        ("t", "{}"),
    ]
    whole = await ask(runner, body("tools"))
    assert [(item["call_id"], item["arguments"]) for item in whole["output"]] == [
        (item["call_id"], item["arguments"]) for item in reader.items
    ]


@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_not_kept(runner: Served, stream: bool) -> None:
    """With `store: false`; nothing can go on from it, either."""
    data = body("think", store=False)
    if stream:
        found = (await events(runner, data)).last
    else:
        found = await ask(runner, data)
    assert found is not None
    assert found["store"] is False
    await get(runner, f"/v1/responses/{found['id']}", 404)
    error = (await ask(runner, body("think", previous_response_id=found["id"]), status=400))[
        "error"
    ]
    assert error["code"] == "previous_response_not_found"
    assert error["param"] == "previous_response_id"
    assert found["id"] in error["message"]


@pytest.mark.parametrize("script", ["error_in_stream", "die_in_stream"])
async def test_a_stream_that_breaks(tmp_path: Path, script: str) -> None:
    """It ends in an error and the failed response, with what was said, which is kept."""
    async with running(tmp_path) as runner:
        reader = await events(runner, body(script))
        assert reader.error is not None
        assert reader.last is not None
        told = {"error_in_stream": "the grammar broke", "die_in_stream": "exit code 7"}
        assert told[script] in reader.error["message"]
        assert reader.last["output_text"].startswith("word")
        assert (await get(runner, f"/v1/responses/{reader.last['id']}"))["status"] == "failed"


async def test_an_engine_that_dies_before_it_says_anything(tmp_path: Path) -> None:
    """That is an error like any other."""
    async with running(tmp_path) as runner:
        for data in (body("die_in_body"), body("die_after_head", stream=True)):
            error = (await ask(runner, data, status=502))["error"]
            assert (error["code"], error["type"]) == ("engine_failed", "server_error")
            await runner.until("ready")


@pytest.mark.parametrize(
    ("script", "status", "words"),
    [
        ("parse_error", 400, "unpaired surrogate"),
        ("failure", 500, "the computation failed"),
        ("echo", 502, "before it was whole"),
        ("not_a_chat", 502, "cannot be read"),
    ],
)
async def test_errors_of_the_engine(runner: Served, script: str, status: int, words: str) -> None:
    """In OpenAI's shape, with a status that tells whose fault it is."""
    error = (await ask(runner, body(script), status=status))["error"]
    assert words in error["message"]
    assert set(error) == {"message", "type", "code", "param"}


async def test_too_long(runner: Served) -> None:
    """OpenAI's word for it."""
    error = (await ask(runner, body("too_long"), status=400))["error"]
    assert (error["code"], error["param"]) == ("context_length_exceeded", "input")


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        ("x", 400, None),
        ({"model": "gpt-9", "input": "x"}, 404, "model_not_found"),
        ({"model": "gpt-9"}, 404, "model_not_found"),
        ({"model": "gpt-x"}, 400, "missing_required_parameter"),
        ({"input": "x", "keep_alive": "soon"}, 400, None),
        ({"input": "x", "background": True}, 400, "unsupported_parameter"),
        (
            {"input": "x", "previous_response_id": "resp_missing"},
            400,
            "previous_response_not_found",
        ),
    ],
    ids=range(7),
)
async def test_what_is_refused(runner: Served, data: Any, status: int, code: str | None) -> None:
    """The engine does not see it."""
    assert (await ask(runner, data, status=status))["error"]["code"] == code


async def test_a_body_that_is_nested_too_deeply(runner: Served) -> None:
    """Also where it can be read, but not written again."""
    for depth in (300, 900, 5000, 100_000):
        raw = (
            b'{"input": "script: think", "tools": [{"type": "function", "name": "w", "parameters":'
        )
        raw += b'{"a":' * depth + b"1" + b"}" * depth + b"}]}"
        async with runner.client.post("/v1/responses", data=raw) as answer:
            assert answer.status in {200, 400}


@pytest.mark.parametrize(
    ("method", "below", "status", "allowed"),
    [
        ("POST", "", 405, "GET, HEAD, DELETE"),
        ("POST", "/input_items", 405, "GET, HEAD"),
        ("GET", "/cancel", 405, "POST"),
        ("POST", "/cancel", 400, None),
        ("GET", "?stream=true", 400, None),
        ("GET", "?stream=false", 200, None),
        ("GET", "/input_items?limit=0", 400, None),
        ("GET", "/elsewhere", 404, None),
    ],
)
async def test_what_can_be_done_with_one(
    runner: Served, method: str, below: str, status: int, allowed: str | None
) -> None:
    """The rest is said to be wrong, in OpenAI's shape."""
    made = await ask(runner, body("think"))
    async with runner.client.request(method, f"/v1/responses/{made['id']}{below}") as answer:
        assert (answer.status, answer.headers.get("Allow")) == (status, allowed)
        assert status == 200 or "message" in (await answer.json())["error"]


async def test_a_client_that_leaves(tmp_path: Path) -> None:
    """The engine sees it go, and nothing is kept."""
    async with running(tmp_path) as runner:
        data = body("endless", stream=True)
        async with runner.client.post("/v1/responses", json=data) as answer:
            first = await answer.content.readuntil(b"\n\n")
            assert first.startswith(b"event: response.created")
            identity = json.loads(first.decode().partition("data: ")[2])["response"]["id"]
        await eventually((runner.launch.folder / "left").exists)
        await get(runner, f"/v1/responses/{identity}", 404)
        assert (await runner.status())["inFlight"] == 0


async def test_many_at_once(runner: Served) -> None:
    """Events do not mix, and each response is kept as itself."""

    async def one(number: int) -> None:
        reader = await events(runner, body("repeat", user=str(number)))
        assert reader.last is not None
        assert reader.last["user"] == str(number)
        assert await get(runner, f"/v1/responses/{reader.last['id']}") == reader.last

    await asyncio.gather(*(one(number) for number in range(12)))


async def test_an_engine_of_another_mode(tmp_path: Path) -> None:
    """It says so."""
    async with running(tmp_path, config=replace(CONFIG, mode=Mode.EMBEDDING)) as runner:
        error = (await ask(runner, body("think"), status=400))["error"]
        assert error["code"] == "unsupported_mode"


async def test_a_runner_that_keeps_nothing(tmp_path: Path) -> None:
    """Answers are given all the same."""
    async with running(tmp_path, settings=replace(SETTINGS, max_stored=0)) as runner:
        made = await ask(runner, body("think"))
        await get(runner, f"/v1/responses/{made['id']}", 404)
