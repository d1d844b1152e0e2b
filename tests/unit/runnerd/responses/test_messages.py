"""Items as the messages of a chat."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runnerd.responses.items import call_item, message_item, reasoning_item
from runnerd.responses.messages import chat_messages


def user(*texts: str, role: str = "user") -> dict[str, Any]:
    """A message of the user's."""
    parts = [{"type": "input_text", "text": text} for text in texts]
    return {"id": "msg", "type": "message", "role": role, "content": parts}


def output(call_id: str, found: Any) -> dict[str, Any]:
    """What came of a call."""
    return {"id": "x", "type": "function_call_output", "call_id": call_id, "output": found}


def called(call_id: str) -> dict[str, Any]:
    """A call in a message."""
    return {"id": call_id, "type": "function", "function": {"name": "w", "arguments": "{}"}}


def call(call_id: str) -> dict[str, Any]:
    """The same as an item."""
    return call_item("fc", call_id, "w", "{}")


HI = {"role": "user", "content": "hi"}
SO = {"role": "assistant", "content": "so"}
TOOL = {"role": "tool", "tool_call_id": "a", "content": "5"}
IMAGE = {"type": "input_image", "image_url": "data:x", "detail": "low"}


@pytest.mark.parametrize(
    ("instructions", "items", "messages"),
    [
        (None, [user("hi")], [HI]),
        ("Be.", [user("hi")], [{"role": "system", "content": "Be."}, HI]),
        (
            "Be.",
            [user("Do.", role="developer"), user("hi")],
            [{"role": "system", "content": "Be.\n\nDo."}, HI],
        ),
        (
            None,
            [user("hi"), user("Do.", role="system")],
            [HI, {"role": "system", "content": "Do."}],
        ),
        (None, [user("a", "b")], [{"role": "user", "content": "a\nb"}]),
        (None, [user("hi"), message_item("m", "so"), user("hi")], [HI, SO, HI]),
        (
            None,
            [reasoning_item("r", "hm"), message_item("m", "so"), call("a"), call("b")],
            [
                {
                    "role": "assistant",
                    "content": "so",
                    "reasoning_content": "hm",
                    "tool_calls": [called("a"), called("b")],
                }
            ],
        ),
        (
            None,
            [call("a"), output("a", "5"), call("b")],
            [
                {"role": "assistant", "content": None, "tool_calls": [called("a")]},
                TOOL,
                {"role": "assistant", "content": None, "tool_calls": [called("b")]},
            ],
        ),
        (None, [message_item("m", "so"), message_item("m", "so")], [SO, SO]),
        (
            None,
            [call("a"), message_item("m", "so")],
            [{"role": "assistant", "content": None, "tool_calls": [called("a")]}, SO],
        ),
        (None, [reasoning_item("r", "hm"), user("hi")], [HI]),
        (
            None,
            [message_item("m", "so"), reasoning_item("r", "hm"), message_item("m", "so")],
            [SO, {**SO, "reasoning_content": "hm"}],
        ),
        (
            None,
            [
                {
                    "id": "r",
                    "type": "reasoning",
                    "summary": [{"type": "summary_text", "text": "short"}],
                },
                message_item("m", "so"),
            ],
            [{**SO, "reasoning_content": "short"}],
        ),
        (None, [output("a", "5")], [TOOL]),
        (None, [output("a", user("4", "5")["content"])], [{**TOOL, "content": "4\n5"}]),
        (
            None,
            [{**user("see"), "content": [*user("see")["content"], IMAGE]}],
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "see"},
                        {"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}},
                    ],
                }
            ],
        ),
        (
            None,
            [{**message_item("m", ""), "content": [{"type": "refusal", "refusal": "no"}]}],
            [{"role": "assistant", "content": "no"}],
        ),
    ],
    ids=range(17),
)
def test_messages(
    instructions: str | None, items: list[dict[str, Any]], messages: list[dict[str, Any]]
) -> None:
    """What belongs to one turn of the model is one message."""
    assert chat_messages(instructions, items) == messages


SOUND = {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}


def test_sound() -> None:
    """It is passed on as it is."""
    (message,) = chat_messages(None, [{**user(""), "content": [SOUND]}])
    assert message["content"] == [SOUND]


ITEMS = st.lists(
    st.one_of(
        st.sampled_from(["user", "system", "developer"]).map(lambda role: user("x", role=role)),
        st.just(message_item("m", "said")),
        st.just(reasoning_item("r", "thought")),
        st.builds(call, st.sampled_from("ab")),
        st.builds(output, st.sampled_from("ab"), st.just("out")),
    ),
    max_size=12,
)


@given(ITEMS)
def test_nothing_is_lost(items: list[dict[str, Any]]) -> None:
    """Every text, call and output is in the messages, in its order; no message says nothing."""
    messages = chat_messages(None, items)
    told = []
    for message in messages:
        content = message["content"]
        if content is not None:
            told += ["x"] * content.count("x") if message["role"] != "assistant" else []
            told += [content] if content in {"said", "out"} else []
        told += [one["id"] for one in message.get("tool_calls", [])]
        assert content is not None or message["tool_calls"]
    wanted = []
    for item in items:
        match item["type"]:
            case "message":
                wanted.append(item["content"][0]["text"])
            case "function_call":
                wanted.append(item["call_id"])
            case "function_call_output":
                wanted.append("out")
            case _:
                assert item["type"] == "reasoning"
    assert told == wanted
