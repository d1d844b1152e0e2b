"""What is Ollama's own about its requests."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner.gateway.messages import Outcome
from modelrunner.gateway.routing.body import Unreadable
from modelrunner.gateway.routing.ollama import empty_piece, question, unloaded
from modelrunner.gateway.routing.paths import ROUTES
from tests.support.gateway_world import World, answered, forwarded, held
from tests.support.virtual_time import virtual

A = "10.0.0.1"
CHAT, GENERATE, EMBED = "/api/chat", "/api/generate", "/api/embed"
USER = [{"role": "user", "content": "hi"}]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["0", "0s"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
MEMBERS = ("messages", "prompt", "suffix", "input", "keep_alive", "options")


def asks(**data: Any) -> bool:
    """Whether a request asks for nothing but to unload its model."""
    return question(json.dumps({"model": "smol", **data}).encode()).unloads


@pytest.mark.parametrize(
    ("data", "unloads"),
    [
        ({}, False),
        ({"keep_alive": 0}, True),
        ({"keep_alive": 0.0, "messages": []}, True),
        ({"keep_alive": "0", "prompt": ""}, True),
        ({"keep_alive": "0s", "messages": None}, True),
        ({"options": {"keep_alive": 0}}, True),
        ({"keep_alive": "5m", "options": {"keep_alive": 0}}, False),
        ({"keep_alive": 0, "messages": USER}, False),
        ({"keep_alive": 0, "prompt": "x"}, False),
        ({"keep_alive": 0, "suffix": "x"}, False),
        ({"keep_alive": 0, "input": ["x"]}, False),
        ({"keep_alive": -1}, False),
        ({"keep_alive": "soon"}, False),
        ({"keep_alive": False}, False),
        ({"options": []}, False),
        ({"options": {"num_ctx": 3}}, False),
    ],
    ids=range(16),
)
def test_what_unloads(data: dict[str, Any], unloads: bool) -> None:
    """No prompt and a keep_alive of 0; what is malformed is the runner's to refuse."""
    assert asks(**data) is unloads


@given(st.dictionaries(st.sampled_from(MEMBERS), JSON))
def test_any_json(data: dict[str, Any]) -> None:
    """Members that routing does not need are nobody's fault here."""
    assert asks(**data) in {True, False}


def test_names() -> None:
    """`name` is an older word for `model`, and must be text like that."""
    assert question(b'{"name": "a"}').model == "a"
    assert question(b'{"name": "a", "model": "b"}').model == "b"
    with pytest.raises(Unreadable) as raised:
        question(b'{"name": 3}')
    assert raised.value.param == "name"


def test_lines() -> None:
    """Each is one line of JSON with a client's own name for the model."""
    piece = ROUTES[CHAT].piece
    told = json.loads(empty_piece(piece, 'a"b\u2028'))
    assert told["message"] == {"role": "assistant", "content": ""}
    assert (told["model"], told["done"]) == ('a"b\u2028', False)
    assert told["created_at"].endswith("Z")
    assert empty_piece(piece, "\u2028").count(b"\n") == 1
    assert empty_piece(piece, "\u2028").isascii()
    assert json.loads(empty_piece(ROUTES[GENERATE].piece, "m"))["response"] == ""
    assert json.loads(unloaded(ROUTES[GENERATE].piece, "m"))["done_reason"] == "unload"
    assert json.loads(unloaded("", "m"))["embeddings"] == []


@virtual
async def test_questions_are_streams_unless_told_otherwise() -> None:
    """Embeddings never are."""
    async with World() as world:
        world.awake("ml/smol", A)
        for path, body, stream in (
            (CHAT, {}, True),
            (CHAT, {"stream": None}, True),
            (CHAT, {"stream": False}, False),
            (GENERATE, {"stream": True}, True),
            (EMBED, {}, False),
            (EMBED, {"stream": True}, False),
        ):
            forward = forwarded(world.post(path, {"model": "smol", "messages": USER, **body}))
            forward.ticket.first_byte(200)
            forward.ticket.done(Outcome.COMPLETE, b'{"prompt_eval_count":3,"eval_count":4}\n')
            exchange = world.ended[-1]
            assert (exchange.stream, exchange.dialect) == (stream, "ollama"), (path, body)
            assert (exchange.tokens_in, exchange.tokens_out) == (3, 4)


@virtual
async def test_a_stream_that_waits() -> None:
    """Gets pieces without text; its errors are lines."""
    async with World() as world:
        world.sleeping("ml/smol", timeout=3)
        chat = held(world.post(CHAT, {"model": "SMOL:latest", "messages": USER}))
        assert (chat.stream, chat.media) == (True, b"application/x-ndjson")
        assert json.loads(chat.heartbeat)["model"] == "SMOL:latest"
        assert json.loads(chat.heartbeat)["message"]["content"] == ""
        generate = held(world.post(GENERATE, {"name": "smol", "prompt": "x"}))
        assert json.loads(generate.heartbeat)["response"] == ""
        embed = held(world.post(EMBED, {"model": "smol", "input": "x"}))
        assert not embed.stream
        await asyncio.sleep(3.1)
        status, body = answered(chat.decided.result())
        assert (status, list(body)) == (503, ["error"])
        assert chat.event(503, b'{"error": "late"}') == b'{"error": "late"}\n'


@virtual
async def test_a_request_without_a_prompt_wakes() -> None:
    """To load a model is what it is for."""
    async with World() as world:
        world.sleeping("ml/smol")
        assert held(world.post(GENERATE, {"model": "smol"})).stream
        await asyncio.sleep(1)
        assert world.scaler.calls


@virtual
async def test_to_unload_a_model_does_not_wake_it() -> None:
    """Asleep it is unloaded already; awake, its runner is told."""
    async with World() as world:
        entry = world.sleeping("ml/smol")
        unload = {"model": "smol", "keep_alive": 0}
        status, body = answered(world.post(CHAT, unload))
        assert (status, body["done_reason"], body["model"]) == (200, "unload", "smol")
        assert body["message"]["content"] == ""
        assert answered(world.post(EMBED, unload))[0] == 200
        assert world.ended[-1].entry is entry
        assert entry.in_flight == 0
        await asyncio.sleep(1)
        assert world.scaler.calls == []
        world.awake("ml/smol", A)
        assert forwarded(world.post(CHAT, unload)).endpoint.name == A


@virtual
@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"model": "nope", "messages": USER}, 404, "model 'nope' not found"),
        ({"messages": USER}, 400, "model is required"),
        ({"model": 3}, 400, "`model` must be a string"),
        (b"{", 400, "not JSON"),
        (b"", 400, "no body"),
    ],
    ids=range(5),
)
async def test_errors(body: Any, status: int, words: str) -> None:
    """In Ollama's words and shape."""
    async with World() as world:
        found, told = answered(world.post(CHAT, body))
        assert (found, list(told)) == (status, ["error"])
        assert words in told["error"]


@virtual
async def test_the_rest_is_the_back_offices() -> None:
    """Lists, and whatever else there is below /api; a wrong method is not."""
    async with World() as world:
        for method, path in (("GET", "/api/tags"), ("POST", "/api/show"), ("DELETE", "/api/x")):
            assert forwarded(world.post(path, {}, method=method)).endpoint is world.back_office
        assert answered(world.post(CHAT, b"", method="GET"))[0] == 405
