"""An engine's answers as their clients need them, without a server."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runnerd.server.dialects import Dialect
from runnerd.server.mending import (
    PING,
    Renaming,
    is_comment,
    lacks_start,
    message_start,
    opens,
    with_ping,
    with_role,
)
from runnerd.server.routes import inference_routes

ROUTES = inference_routes("llama.cpp")
CHUNK = (
    b'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"%s"}}],'
    b'"created":1,"model":"smol","object":"chat.completion.chunk"}\n\n'
)
STREAM = b": ping\n\n" + CHUNK % b"a" + CHUNK % rb"\"model\":\"smol\"" + b"data: [DONE]\n\n"
RENAMED = STREAM.replace(b',"model":"smol"', b',"model":"gpt-x"')
MESSAGES = (
    b'event: message_start\ndata: {"message":{"content":[],"model":"smol"}}\n\n'
    b'event: content_block_delta\ndata: {"delta":{"partial_json":"{}"},"model":"smol"}\n\n'
)
"""In the second event no engine says the name: it is there to show that nobody looks."""


def _openai() -> Renaming:
    return Renaming("smol", "gpt-x", Dialect.OPENAI)


def _told(renaming: Renaming, pieces: list[bytes]) -> bytes:
    return b"".join([*map(renaming.take, pieces), renaming.end()])


def test_a_name_cut_in_two() -> None:
    """Wherever a piece ends, the answer is the same, and text that looks like a name is kept."""
    for cut in range(len(STREAM)):
        assert _told(_openai(), [STREAM[:cut], STREAM[cut:]]) == RENAMED, cut


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_a_name_cut_anywhere(cuts: list[int]) -> None:
    """However many pieces there are, empty ones among them."""
    places = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in itertools.pairwise(places)]
    assert _told(_openai(), pieces) == RENAMED


def test_whole_events_are_not_held_back() -> None:
    """A client sees an event when the engine says it; what cannot become a name, too."""
    renaming = _openai()
    assert renaming.take(CHUNK % b"a").endswith(b"\n\n")
    assert renaming.take(b'data: {"mod') == b"data: {"
    assert renaming.take(b'el":"x"') == b'"model":"x'
    assert renaming.take(b"!") == b'"!'
    assert renaming.end() == b""


def test_what_no_more_comes_after() -> None:
    """The end of an answer is passed on, even if it looks like the beginning of a name."""
    renaming = _openai()
    assert renaming.take(b'{"model":"sm') == b"{"
    assert renaming.end() == b'"model":"sm'


def test_an_answer_of_anthropics_says_it_once() -> None:
    """In its first event, or after its content, in which a tool's input may look the same."""
    for cut in range(len(MESSAGES)):
        renaming = Renaming("smol", "claude", Dialect.ANTHROPIC)
        told = _told(renaming, [MESSAGES[:cut], MESSAGES[cut:]])
        assert told == MESSAGES.replace(b'"smol"', b'"claude"', 1)
    body = b'{"content":[{"input":{"model":"smol"}}],"model":"smol","usage":{}}'
    whole = Renaming("smol", "claude", Dialect.ANTHROPIC).whole(body)
    assert whole == b'{"content":[{"input":{"model":"smol"}}],"model":"claude","usage":{}}'


@pytest.mark.parametrize("name", ["a/b:c", 'a"b\\', "é\u2028", "\ud800", "x" * 300, '","z":"'])
def test_any_name(name: str) -> None:
    """What a client wrote comes back as JSON that means the same, and nothing else with it."""
    body = b'{"model":"smol","object":"list"}'
    told = Renaming("smol", name, Dialect.OPENAI).whole(body)
    assert json.loads(told) == {"model": name, "object": "list"}


def test_a_name_that_needs_no_ascii() -> None:
    """The engine writes its own name as it is."""
    body = '{"model":"modèle"}'.encode()
    assert Renaming("modèle", "m", Dialect.OPENAI).whole(body) == b'{"model":"m"}'


def test_what_needs_a_first_event() -> None:
    """Chats, in both families; other routes and answers are left alone."""
    found = {path for path, route in ROUTES.items() if opens(route)}
    assert {"/v1/chat/completions", "/v1/messages", "/anthropic/v1/messages"} <= found
    assert not found & {"/v1/completions", "/v1/embeddings", "/v1/messages/count_tokens"}


@pytest.mark.parametrize("piece", [b"", b":\n\n", b": ping\n\n: ping\n\n", b"\n"])
def test_comments_are_no_beginning(piece: bytes) -> None:
    """An engine that thinks for long says so every 30 seconds."""
    assert is_comment(piece)
    assert not is_comment(piece + b"event: x\n")


@pytest.mark.parametrize(
    ("piece", "lacks"),
    [
        (b"event: message_start\ndata: {}\n\n", False),
        (b"event: content_block_start\ndata: {}\n\n", True),
        (b":\n\nevent: content_block_start\ndata: {}\n\n", True),
        (b"event: message_delta\ndata: {}\n\n", True),
        (b"event: error\ndata: {}\n\n", False),
        (b"event: mess", False),
        (b"", False),
    ],
)
def test_a_stream_without_its_start(piece: bytes, lacks: bool) -> None:
    """What follows a start shows that there was none; an error needs none."""
    assert lacks_start(piece) is lacks


def test_the_start_that_was_left_out() -> None:
    """All that Anthropic's client reads of it."""
    name, data, *rest = message_start('a"b', "id", 31).split(b"\n")
    assert (name, rest) == (b"event: message_start", [b"", b""])
    found = json.loads(data.removeprefix(b"data: "))
    assert found["type"] == "message_start"
    assert found["message"]["usage"]["input_tokens"] == 31
    assert found["message"] | {"usage": {}} == {
        "id": "msg_id",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": 'a"b',
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {},
    }


@pytest.mark.parametrize(
    ("piece", "told"),
    [
        (b'{"delta":{"content":"x"}', b'{"delta":{"role":"assistant","content":"x"}'),
        (b'{"delta":{}', b'{"delta":{"role":"assistant"}'),
        (b'{"delta":{"role":"assistant"}', b'{"delta":{"role":"assistant"}'),
        (b'{"error":{}', b'{"error":{}'),
    ],
)
def test_the_role_that_was_left_out(piece: bytes, told: bytes) -> None:
    """The first event says who speaks; the second, and what comes before it, are left alone."""
    rest = b'],"object":"chat.completion.chunk"}\n\ndata: {"delta":{}}\n\n'
    for before in (b"data: ", b": ping\n\ndata: "):
        assert with_role(before + piece + rest) == before + told + rest


def test_a_first_event_of_something_else() -> None:
    """What does not say that it is a piece of a chat is none."""
    assert with_role(b'data: {"delta":{}}\n\n') == b'data: {"delta":{}}\n\n'


START = b'event: message_start\ndata: {"type":"message_start"}\n\n'
BLOCK = b'event: content_block_start\ndata: {"type":"content_block_start"}\n\n'


@pytest.mark.parametrize(
    ("piece", "told"),
    [
        (START, START + PING),
        (START + BLOCK, START + PING + BLOCK),
        (b": comment\n\n" + START, b": comment\n\n" + START + PING),
        (START[:-1], START[:-1]),
        (b"", b""),
    ],
)
def test_a_ping_follows_the_first_event(piece: bytes, told: bytes) -> None:
    """Between whole events only; what is cut stays as it is."""
    assert with_ping(piece) == told
