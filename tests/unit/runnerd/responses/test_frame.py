"""The response object, and the items of a whole answer."""

import itertools
from typing import Any

import pytest

from runnerd.responses.frame import Frame, output_of
from runnerd.responses.spoken import Piece, piece_of, usage_of


def output(**message: Any) -> list[dict[str, Any]]:
    """The items of an answer; new IDs are counted."""
    count = itertools.count()
    piece = piece_of({"choices": [{"finish_reason": "stop", "message": message}]}, 0)
    return output_of(piece, lambda word: f"{word}_{next(count)}")


CALL = {"id": "call_abc123", "function": {"name": "get_weather", "arguments": '{"a": 1}'}}


def test_text() -> None:
    """One message."""
    assert output(content="Hello!") == [
        {
            "id": "msg_0",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "Hello!", "annotations": [], "logprobs": []}
            ],
        }
    ]


def test_thoughts_text_and_calls() -> None:
    """In the order in which a stream has them."""
    found = output(reasoning_content="hm", content="Here:", tool_calls=[CALL])
    assert [item["type"] for item in found] == ["reasoning", "message", "function_call"]
    assert found[2] == {
        "id": "fc_2",
        "type": "function_call",
        "status": "completed",
        "call_id": "call_abc123",
        "name": "get_weather",
        "arguments": '{"a": 1}',
    }


def test_calls_alone() -> None:
    """There is no empty message beside them; without words and calls there is one."""
    assert [item["type"] for item in output(tool_calls=[CALL])] == ["function_call"]
    (call,) = output(tool_calls=[{"function": {"name": "w"}}])
    assert (call["call_id"], call["arguments"]) == ("call_0", "{}")
    assert [item["type"] for item in output(content=None)] == ["message"]


@pytest.mark.parametrize("message", [{"tool_calls": [{}]}, {"tool_calls": [{"function": {}}]}])
def test_shapeless_calls(message: dict[str, Any]) -> None:
    """They raise what callers expect."""
    with pytest.raises(LookupError):
        output(**message)


def test_its_life() -> None:
    """Begun, whole, cut off, failed: the same members in each."""
    frame = Frame("resp_x", "m", 5, {"temperature": 0.5, "metadata": {"a": "b"}, "top_logprobs": 2})
    assert frame.top_logprobs == 2
    items = output(content="a") + output(content="b")
    whole = frame.ended(items, "", {"prompt_tokens": 1, "completion_tokens": 2}, 9)
    cut = frame.ended(items, "content_filter", None, 9)
    failed = frame.failed(items, "no paper")
    begun = frame.begun()
    for found, status in (
        (begun, "in_progress"),
        (whole, "completed"),
        (cut, "incomplete"),
        (failed, "failed"),
    ):
        assert (found["id"], found["object"], found["model"]) == ("resp_x", "response", "m")
        assert (found["created_at"], found["status"]) == (5, status)
        assert (found["temperature"], found["metadata"]) == (0.5, {"a": "b"})
        assert list(found)[-1] == "usage"
        assert set(found) == set(whole) - ({"output_text"} if found is begun else set())
    assert whole["output_text"] == "ab"
    assert (whole["completed_at"], cut["completed_at"]) == (9, None)
    assert cut["incomplete_details"] == {"reason": "content_filter"}
    assert failed["error"] == {"code": "server_error", "message": "no paper"}


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        (None, None),
        ({}, (0, 0, 0, 0, 0)),
        ({"prompt_tokens": 3, "completion_tokens": 4}, (3, 0, 4, 0, 7)),
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": 4,
                "prompt_tokens_details": {"cached_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 1},
            },
            (3, 2, 4, 1, 7),
        ),
        ({"prompt_tokens": "x", "prompt_tokens_details": None}, (0, 0, 0, 0, 0)),
    ],
    ids=range(5),
)
def test_usage(usage: Any, told: tuple[int, ...] | None) -> None:
    """Taken, of those remembered, given, of those thought, all."""
    found = usage_of(usage)
    if found is None:
        assert told is None
        return
    assert told == (
        found["input_tokens"],
        found["input_tokens_details"]["cached_tokens"],
        found["output_tokens"],
        found["output_tokens_details"]["reasoning_tokens"],
        found["total_tokens"],
    )


def test_pieces() -> None:
    """Deltas and messages, each engine's word for thoughts, an event without choices."""
    assert piece_of({"choices": [{"delta": {"reasoning": "a"}}]}, 0).thoughts == "a"
    assert piece_of({"choices": [{"delta": {"reasoning_content": "a"}}]}, 0).thoughts == "a"
    assert piece_of({"choices": [], "usage": {"x": 1}}, 0) == Piece(usage={"x": 1})
    assert piece_of({"choices": [{"message": {"content": "a"}}]}, 0) == Piece(text="a")
