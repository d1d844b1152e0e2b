"""Items in the one form in which they are kept."""

import itertools
from typing import Any

import pytest

from runnerd.responses.items import Item, input_items
from runnerd.responses.members import AskedWronglyError, Members


def items(found: Any) -> list[Item]:
    """The items of an input; new IDs are counted."""
    count = itertools.count()
    return input_items(Members({"input": found}), lambda word: f"{word}_{next(count)}")


TEXT = [{"type": "input_text", "text": "hi"}]
SAID = [{"type": "output_text", "text": "hi", "annotations": [], "logprobs": []}]
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,x"}
SOUND = {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}


@pytest.mark.parametrize(
    ("found", "role", "content"),
    [
        ("hi", "user", TEXT),
        ([{"role": "user", "content": "hi"}], "user", TEXT),
        ([{"type": "message", "role": "user", "content": "hi"}], "user", TEXT),
        ([{"role": "user", "content": TEXT}], "user", TEXT),
        ([{"role": "user", "content": [{"type": "text", "text": "hi"}]}], "user", TEXT),
        ([{"role": "user", "content": SAID}], "user", TEXT),
        ([{"role": "system", "content": "hi"}], "system", TEXT),
        ([{"role": "developer", "content": TEXT}], "developer", TEXT),
        ([{"role": "assistant", "content": "hi"}], "assistant", SAID),
        ([{"role": "assistant", "content": SAID}], "assistant", SAID),
        ([{"role": "assistant", "content": TEXT}], "assistant", SAID),
        ([{"role": "user", "content": [IMAGE]}], "user", [{**IMAGE, "detail": "auto"}]),
        (
            [{"role": "user", "content": [{**IMAGE, "detail": "low"}]}],
            "user",
            [{**IMAGE, "detail": "low"}],
        ),
        ([{"role": "user", "content": [SOUND]}], "user", [SOUND]),
        (
            [{"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}],
            "assistant",
            [{"type": "refusal", "refusal": "no"}],
        ),
    ],
    ids=range(15),
)
def test_messages(found: Any, role: str, content: list[dict[str, Any]]) -> None:
    """A message in any of the ways in which it may be written."""
    (item,) = items(found)
    assert item == {
        "id": "msg_0",
        "type": "message",
        "status": "completed",
        "role": role,
        "content": content,
    }


CALL = {"type": "function_call", "call_id": "c", "name": "w"}
OUTPUT = {"type": "function_call_output", "call_id": "c"}


@pytest.mark.parametrize(
    ("found", "item"),
    [
        (
            {**CALL, "arguments": "{}"},
            {**CALL, "id": "fc_0", "status": "completed", "arguments": "{}"},
        ),
        (
            {**CALL, "id": "fc_x", "status": "incomplete"},
            {**CALL, "id": "fc_x", "status": "incomplete", "arguments": "{}"},
        ),
        (
            {**OUTPUT, "output": "5"},
            {**OUTPUT, "id": "fc_0", "status": "completed", "output": "5"},
        ),
        (
            {**OUTPUT, "output": TEXT},
            {**OUTPUT, "id": "fc_0", "status": "completed", "output": TEXT},
        ),
        (
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}]},
            {
                "id": "rs_0",
                "type": "reasoning",
                "status": "completed",
                "summary": [{"type": "summary_text", "text": "a"}],
            },
        ),
        (
            {
                "type": "reasoning",
                "id": "rs_x",
                "summary": [],
                "content": [{"type": "reasoning_text", "text": "b"}],
                "encrypted_content": "x",
            },
            {
                "id": "rs_x",
                "type": "reasoning",
                "status": "completed",
                "summary": [],
                "content": [{"type": "reasoning_text", "text": "b"}],
            },
        ),
        ({"type": "item_reference", "id": "msg_x"}, {"type": "item_reference", "id": "msg_x"}),
        ({"id": "msg_x"}, {"type": "item_reference", "id": "msg_x"}),
    ],
    ids=range(8),
)
def test_other_items(found: dict[str, Any], item: Item) -> None:
    """Calls, what came of them, thoughts, references."""
    assert items([found]) == [item]


@pytest.mark.parametrize(
    ("found", "param"),
    [
        (5, "input"),
        ({}, "input"),
        ([5], "input[0]"),
        ([{}], "input[0].role"),
        ([{"role": "wizard", "content": "x"}], "input[0].role"),
        ([{"role": "user"}], "input[0].content"),
        ([{"role": "user", "content": 5}], "input[0].content"),
        ([{"role": "user", "content": [{}]}], "input[0].content[0].type"),
        ([{"role": "user", "content": [{"type": "input_text"}]}], "input[0].content[0].text"),
        ([{"role": "user", "content": [{"type": "input_file"}]}], "input[0].content[0].type"),
        (
            [{"role": "user", "content": [{"type": "input_image"}]}],
            "input[0].content[0].image_url",
        ),
        (
            [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}],
            "input[0].content[0].file_id",
        ),
        (
            [{"role": "user", "content": [{**IMAGE, "detail": "x"}]}],
            "input[0].content[0].detail",
        ),
        (
            [{"role": "user", "content": [{"type": "input_audio"}]}],
            "input[0].content[0].input_audio",
        ),
        (
            [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}],
            "input[0].content[0].input_audio.data",
        ),
        ([{"role": "user", "content": "x"}, {"type": "web_search_call"}], "input[1].type"),
        ([{"type": "function_call", "name": "x"}], "input[0].call_id"),
        ([{"type": "function_call", "call_id": "x"}], "input[0].name"),
        ([{**CALL, "arguments": {}}], "input[0].arguments"),
        ([{**CALL, "status": "odd"}], "input[0].status"),
        ([OUTPUT], "input[0].output"),
        ([{**OUTPUT, "output": 5}], "input[0].output"),
        ([{"type": "function_call_output", "output": "x"}], "input[0].call_id"),
        ([{"type": "reasoning", "summary": "x"}], "input[0].summary"),
        ([{"type": "item_reference"}], "input[0].id"),
    ],
    ids=range(25),
)
def test_what_is_wrong(found: Any, param: str) -> None:
    """A 400 that names the place."""
    with pytest.raises(AskedWronglyError) as raised:
        items(found)
    assert (raised.value.found.status, raised.value.found.param) == (400, param)
