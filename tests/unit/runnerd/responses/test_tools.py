"""Functions that a model may call."""

from typing import Any

import pytest

from runnerd.responses.members import AskedWronglyError, Members
from runnerd.responses.tools import tools_of

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
W = {"type": "function", "name": "w", "description": "d", "parameters": PARAMETERS, "strict": True}
T = {"type": "function", "name": "t"}


def names(body: dict[str, Any]) -> list[str]:
    """Of the functions that are offered."""
    return [one["function"]["name"] for one in body.get("tools", [])]


def test_functions() -> None:
    """As chat completions have them; the response repeats them in its own way."""
    found = tools_of(Members({"tools": [W, T]}))
    assert found.body == {
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "w",
                    "description": "d",
                    "parameters": PARAMETERS,
                    "strict": True,
                },
            },
            {
                "type": "function",
                "function": {
                    "name": "t",
                    "description": "",
                    "parameters": {"type": "object", "properties": {}},
                },
            },
        ]
    }
    assert found.told["tools"] == [
        W,
        {**T, "description": None, "parameters": None, "strict": None},
    ]
    assert found.told["tool_choice"] == "auto"
    assert tools_of(Members({})).told == {"tools": [], "tool_choice": "auto"}


def test_functions_as_chats_have_them() -> None:
    """Docker Model Runner takes these, too."""
    nested = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}
    assert names(tools_of(Members({"tools": [nested]})).body) == ["get_weather"]


@pytest.mark.parametrize(
    ("choice", "mode", "offered"),
    [
        (None, None, ["w", "t"]),
        ("auto", "auto", ["w", "t"]),
        ("none", "none", ["w", "t"]),
        ("required", "required", ["w", "t"]),
        ({"type": "function", "name": "t"}, "required", ["t"]),
        ({"type": "function", "function": {"name": "t"}}, "required", ["t"]),
        ({"type": "allowed_tools", "mode": "auto", "tools": [T]}, "auto", ["t"]),
        ({"type": "allowed_tools", "mode": "required", "tools": [W, T]}, "required", ["w", "t"]),
    ],
)
def test_choices(choice: Any, mode: str | None, offered: list[str]) -> None:
    """A choice of one function is a required call of the only one that is offered."""
    found = tools_of(Members({"tools": [W, T], "tool_choice": choice}))
    assert (found.body.get("tool_choice"), names(found.body)) == (mode, offered)
    assert found.told["tool_choice"] == (choice or "auto")


@pytest.mark.parametrize(
    ("data", "param"),
    [
        ({"tools": {}}, "tools"),
        ({"tools": [5]}, "tools[0]"),
        ({"tools": [{}]}, "tools[0].type"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [T, {"type": "file_search"}]}, "tools[1].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{**T, "parameters": 5}]}, "tools[0].parameters"),
        ({"tools": [{**T, "strict": "x"}]}, "tools[0].strict"),
        ({"tools": [{**T, "description": 5}]}, "tools[0].description"),
        ({"tools": [T], "tool_choice": "some"}, "tool_choice"),
        ({"tools": [T], "tool_choice": 5}, "tool_choice"),
        ({"tools": [T], "tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"tools": [T], "tool_choice": {"type": "function", "name": "x"}}, "tool_choice.name"),
        ({"tools": [T], "tool_choice": {"type": "file_search"}}, "tool_choice.type"),
        ({"tools": [T], "tool_choice": {"type": "allowed_tools"}}, "tool_choice.tools"),
        ({"tool_choice": "required"}, "tool_choice"),
    ],
    ids=range(16),
)
def test_what_is_wrong(data: dict[str, Any], param: str) -> None:
    """A 400 that names the place."""
    with pytest.raises(AskedWronglyError) as raised:
        tools_of(Members(data))
    assert (raised.value.found.status, raised.value.found.param) == (400, param)
