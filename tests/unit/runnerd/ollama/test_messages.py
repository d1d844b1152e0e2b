"""Messages in both directions."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runnerd.ollama.members import AskedWronglyError
from runnerd.ollama.messages import called_tools, openai_messages, user_message

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def test_plain_messages() -> None:
    """Text stays text; no content is none."""
    found = openai_messages(
        [
            {"role": "system", "content": "s"},
            {"role": "user"},
            {"role": "assistant", "content": None},
        ]
    )
    assert found == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": ""},
        {"role": "assistant", "content": ""},
    ]


def test_a_thought_goes_back_as_it_came() -> None:
    """So that templates which keep thoughts can."""
    (found,) = openai_messages([{"role": "assistant", "content": "a", "thinking": "t"}])
    assert found["reasoning_content"] == "t"


@pytest.mark.parametrize(
    ("image", "url"),
    [
        ("iVBORw0KGgo=", "data:image/png;base64,iVBORw0KGgo="),
        ("/9j/4AAQ", "data:image/jpeg;base64,/9j/4AAQ"),
        ("R0lGODlh", "data:image/gif;base64,R0lGODlh"),
        ("UklGRg==", "data:image/webp;base64,UklGRg=="),
        ("Qk0x", "data:image/bmp;base64,Qk0x"),
        ("data:image/png;base64,AAAA", "data:image/png;base64,AAAA"),
    ],
)
def test_images(image: str, url: str) -> None:
    """An image becomes a data URL of its kind, after the text if there is any."""
    part = {"type": "image_url", "image_url": {"url": url}}
    assert user_message("what?", [image])["content"] == [{"type": "text", "text": "what?"}, part]
    (found,) = openai_messages([{"role": "user", "images": [image]}])
    assert found["content"] == [part]


def test_a_conversation_with_tools() -> None:
    """Calls get IDs, and each answer of a tool finds the oldest open call of that tool."""
    calls = [
        {"function": {"name": "a", "arguments": {"x": [1, {"é": None}]}}},
        {"function": {"name": "b", "arguments": {}}},
        {"function": {"name": "a"}},
        {"id": "own", "function": {"name": "c", "arguments": '{"raw": 1}'}},
    ]
    answers = [
        {"role": "tool", "tool_name": "b", "content": "B"},
        {"role": "tool", "tool_name": "a", "content": "A"},
        {"role": "tool", "tool_call_id": "own", "content": "C"},
        {"role": "tool", "content": "A again"},
        {"role": "tool", "content": "nobody asked"},
    ]
    asked, *told = openai_messages([{"role": "assistant", "tool_calls": calls}, *answers])
    assert [call["id"] for call in asked["tool_calls"]] == ["call_0", "call_1", "call_2", "own"]
    assert json.loads(asked["tool_calls"][0]["function"]["arguments"]) == {"x": [1, {"é": None}]}
    assert asked["tool_calls"][3]["function"]["arguments"] == '{"raw": 1}'
    assert [one["tool_call_id"] for one in told] == ["call_1", "call_0", "own", "call_2", "call_4"]
    assert [one.get("name") for one in told] == ["b", "a", None, None, None]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({}, "the role ''"),
        ({"role": "wizard"}, "wizard"),
        ({"role": "user", "content": []}, "'content' must be a string"),
        ({"role": "user", "images": ["not base64!"]}, "base64"),
        ({"role": "assistant", "tool_calls": {}}, "'tool_calls'"),
        ({"role": "assistant", "tool_calls": [{"function": []}]}, "'function'"),
        ({"role": "assistant", "tool_calls": [{"function": {"arguments": []}}]}, "'arguments'"),
    ],
    ids=range(7),
)
def test_wrong_messages(message: dict[str, Any], words: str) -> None:
    """The member at fault is named."""
    with pytest.raises(AskedWronglyError, match=words):
        openai_messages([message])


@given(st.text(max_size=8), st.dictionaries(st.text(max_size=5), JSON, max_size=3))
def test_arguments_survive_both_ways(name: str, arguments: dict[str, Any]) -> None:
    """What a model calls comes back as the same call when a client sends it back."""
    call = {"id": "x", "function": {"name": name, "arguments": json.dumps(arguments)}}
    (told,) = called_tools([call])
    assert told == {"id": "x", "function": {"index": 0, "name": name, "arguments": arguments}}
    (again,) = openai_messages([{"role": "assistant", "tool_calls": [told]}])
    sent = again["tool_calls"][0]
    assert (sent["id"], json.loads(sent["function"]["arguments"])) == ("x", arguments)


@pytest.mark.parametrize(
    ("arguments", "words"), [("{", "Expecting"), ("[]", "not an object"), ("3", "not an object")]
)
def test_calls_that_are_cut_off(arguments: str, words: str) -> None:
    """They are no calls."""
    with pytest.raises(ValueError, match=words):
        called_tools([{"function": {"name": "a", "arguments": arguments}}])


def test_a_call_without_arguments() -> None:
    """An empty object is what clients can read."""
    assert called_tools([{"function": {"name": "a"}}]) == [
        {"function": {"index": 0, "name": "a", "arguments": {}}}
    ]
