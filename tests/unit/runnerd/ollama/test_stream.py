"""An engine's events as Ollama's lines."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runnerd.ollama.asked import CHAT_PATH, COMPLETION_PATH, INSERT_PATH, Asked, Kind
from runnerd.ollama.counters import Course
from runnerd.ollama.spoken import Spoken, Stamps
from runnerd.ollama.stream import Stream

USAGE = {"prompt_tokens": 7, "completion_tokens": 11}
TIMINGS = {"prompt_ms": 1.5, "predicted_ms": 2.25}


def stream(kind: Kind = Kind.CHAT, path: str = CHAT_PATH) -> Stream:
    """A stream whose clock counts seconds."""
    clock = itertools.count(1_700_000_000_000_000_000, 1_000_000_000).__next__
    course = Course(arrived=clock(), asked=clock())
    return Stream(
        path, Spoken(Asked(kind=kind, model="m", path=path), Stamps(clock)), course, clock
    )


def event(data: Any) -> bytes:
    """One event."""
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def delta(finish: str | None = None, **members: Any) -> bytes:
    """One of a chat."""
    return event({"choices": [{"finish_reason": finish, "delta": members}]})


def lines(raw: bytes) -> list[dict[str, Any]]:
    """Lines as clients read them."""
    assert raw.isascii()
    assert not raw or raw.endswith(b"\n")
    return [json.loads(line) for line in raw.decode().splitlines()]


CHAT = b"".join(
    (
        b": a comment\n\n",
        delta(role="assistant", content=None),
        delta(reasoning_content="hm"),
        delta(content="é\u2028x"),
        delta(content="y"),
        delta("length"),
        event({"choices": [], "usage": USAGE, "timings": TIMINGS}),
        b"data: [DONE]\n\n",
    )
)


def test_a_chat() -> None:
    """A line for each piece, and a last one with the reason and all counters."""
    found = stream()
    told = lines(found.take(CHAT) + found.end())
    assert [line["message"] for line in told] == [
        {"role": "assistant", "content": "", "thinking": "hm"},
        {"role": "assistant", "content": "é\u2028x"},
        {"role": "assistant", "content": "y"},
        {"role": "assistant", "content": ""},
    ]
    assert [line["done"] for line in told] == [False] * 3 + [True]
    assert {line["model"] for line in told} == {"m"}
    assert told[0]["created_at"].startswith("2023-11-14T22:13:2")
    last = told[-1]
    assert last["done_reason"] == "length"
    assert (last["prompt_eval_count"], last["eval_count"]) == (7, 11)
    assert (last["prompt_eval_duration"], last["eval_duration"]) == (1_500_000, 2_250_000)
    assert last["load_duration"] == 1_000_000_000
    assert last["total_duration"] > 0
    assert found.ended


@given(st.lists(st.integers(0, len(CHAT)), max_size=6))
def test_any_split(cuts: list[int]) -> None:
    """However the bytes are cut into pieces, the lines say the same."""
    bounds = [0, *sorted(cuts), len(CHAT)]
    found = stream()
    parts = [found.take(CHAT[a:b]) for a, b in itertools.pairwise(bounds)]
    told = lines(b"".join(parts) + found.end())
    assert "".join(line["message"]["content"] for line in told) == "é\u2028xy"
    assert [line["done"] for line in told].count(True) == 1


def test_a_completion() -> None:
    """The last line has an empty `response`: Ollama's own has, too."""
    found = stream(Kind.GENERATE, COMPLETION_PATH)
    raw = event({"choices": [{"text": "a", "finish_reason": None}]})
    raw += event({"choices": [{"text": "", "finish_reason": "stop"}], "usage": USAGE})
    told = lines(found.take(raw + b"data: [DONE]\n\n"))
    assert [(line["response"], line["done"]) for line in told] == [("a", False), ("", True)]
    assert told[-1]["done_reason"] == "stop"
    assert "message" not in told[0]


def test_an_insertion() -> None:
    """llama-server's own events, which end without a word."""
    found = stream(Kind.GENERATE, INSERT_PATH)
    raw = event({"content": "a", "stop": False})
    raw += event({"content": "", "stop": True, "stop_type": "limit", "tokens_predicted": 4})
    told = lines(found.take(raw) + found.end())
    assert [line["response"] for line in told] == ["a", ""]
    assert (told[-1]["done_reason"], told[-1]["eval_count"]) == ("length", 4)


def test_calls_of_tools() -> None:
    """Their pieces are put together; they come in one line, before the last."""
    found = stream()
    first = {"index": 0, "id": "i", "function": {"name": "w", "arguments": '{"a"'}}
    raw = delta(tool_calls=[first])
    raw += delta(tool_calls=[{"index": 0, "function": {"arguments": ": 1}"}}])
    raw += delta(tool_calls=[{"index": 1, "function": {"name": "v", "arguments": "{}"}}])
    calls, last = lines(found.take(raw + delta("tool_calls") + b"data: [DONE]\n\n"))
    assert calls["message"]["tool_calls"] == [
        {"id": "i", "function": {"index": 0, "name": "w", "arguments": {"a": 1}}},
        {"function": {"index": 1, "name": "v", "arguments": {}}},
    ]
    assert (calls["done"], last["done"], last["done_reason"]) == (False, True, "stop")


def test_a_call_that_is_cut_off() -> None:
    """It becomes text, as Ollama tells what it cannot read."""
    found = stream()
    raw = delta(tool_calls=[{"function": {"name": "w", "arguments": '{"a"'}}]) + delta("length")
    text, last = lines(found.take(raw + b"data: [DONE]\n\n"))
    assert '{\\"a\\"' in text["message"]["content"]
    assert last["done_reason"] == "length"


def test_logprobs() -> None:
    """Each token's, with the others that there might have been."""
    one = {"token": "a", "logprob": -0.5, "bytes": [97], "id": 3}
    choice = {"delta": {"content": "a"}, "logprobs": {"content": [one | {"top_logprobs": [one]}]}}
    (line,) = lines(stream().take(event({"choices": [choice]})))
    told = {"token": "a", "logprob": -0.5, "bytes": [97]}
    assert line["logprobs"] == [told | {"top_logprobs": [told]}]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (event({"error": {"message": "out of memory"}}), "out of memory"),
        (event({"error": "plain"}), "plain"),
        (event({"error": {}}), "failed"),
        (b"data: {\n\n", "no part of an answer"),
        (b"data: {}{}\n\n", "no part of an answer"),
        (event([]), "no part of an answer"),
        (event({"choices": 3}), "no part of an answer"),
        (b"data: [DONE]\n\n", "before it was whole"),
    ],
    ids=range(8),
)
def test_errors_in_a_stream(raw: bytes, words: str) -> None:
    """The last line says so, and nothing follows."""
    found = stream()
    told = lines(found.take(delta(content="a") + raw + delta(content="b")) + found.end())
    assert told[0]["message"]["content"] == "a"
    assert list(told[1]) == ["error"]
    assert words in told[1]["error"]
    assert len(told) == 2
    assert found.failed("again") == b""


def test_a_stream_that_breaks_off() -> None:
    """Nobody may take it for whole."""
    found = stream()
    found.take(delta(content="a"))
    assert "before it was whole" in lines(found.end())[0]["error"]
    found = stream()
    found.take(delta(content="a"))
    assert lines(found.failed("it died")) == [{"error": "it died"}]


def test_a_last_event_without_an_empty_line() -> None:
    """What came is read."""
    found = stream()
    assert found.take(delta("stop").rstrip(b"\n")) == b""
    assert lines(found.end())[0]["done_reason"] == "stop"
