"""Functions that a model may call, and which of them it may or must. Pure."""

from dataclasses import dataclass
from typing import Any, Final

from runnerd.responses.members import MISSING, WRONG_TYPE, Members

_MODES: Final = ("none", "auto", "required")
_FUNCTION: Final = "function"


@dataclass(frozen=True, slots=True)
class Tools:
    """`body`: members of a chat's request; `told`: those of the response."""

    body: dict[str, Any]
    told: dict[str, Any]


def tools_of(members: Members) -> Tools:
    """What `tools` and `tool_choice` ask for.

    Engines know no choice of one function: the others are then not offered, and a call is
    required.

    Raises:
        AskedWronglyError: a tool is no function, or the choice names one that there is not.
    """
    functions = [_function(one) for one in members.objects("tools")]
    choice = members.data.get("tool_choice")
    mode, allowed = _choice(members, choice, {one["name"] for one in functions})
    offered = [one for one in functions if allowed is None or one["name"] in allowed]
    body: dict[str, Any] = {}
    if offered:
        body["tools"] = [_offer(one) for one in offered]
        if mode is not None:
            body["tool_choice"] = mode
    elif mode == "required":
        raise members.wrong("tool_choice", "requires a call, but there are no 'tools'")
    return Tools(body, {"tools": functions, "tool_choice": choice or "auto"})


def _function(found: Members) -> dict[str, Any]:
    kind = found.wanted("type")
    if kind != _FUNCTION:
        raise found.unsupported("type", f'there is no tool "{kind[:60]}", only functions')
    # As chat completions have it, which Docker Model Runner takes, too.
    function = found.nested("function") or found
    parameters = function.nested("parameters")
    return {
        "type": _FUNCTION,
        "name": function.wanted("name"),
        "description": function.text("description"),
        "parameters": None if parameters is None else parameters.data,
        "strict": function.flag("strict"),
    }


def _offer(function: dict[str, Any]) -> dict[str, Any]:
    told = {
        "name": function["name"],
        "description": function["description"] or "",
        "parameters": function["parameters"] or {"type": "object", "properties": {}},
    }
    if function["strict"] is not None:
        told["strict"] = function["strict"]
    return {"type": _FUNCTION, "function": told}


def _choice(
    members: Members, found: Any, names: set[str]
) -> tuple[str | None, frozenset[str] | None]:
    """The word for the engine, and the only functions to offer (None: all)."""
    if found is None:
        return None, None
    if isinstance(found, str):
        return members.one_of("tool_choice", _MODES), None
    if not isinstance(found, dict):
        raise members.wrong("tool_choice", "must be a string or an object", WRONG_TYPE)
    choice = Members(found, "tool_choice.")
    kind = choice.wanted("type")
    if kind == _FUNCTION:
        named = (choice.nested("function") or choice).wanted("name")
        return "required", frozenset({_known(choice, "name", named, names)})
    if kind == "allowed_tools":
        mode = choice.one_of("mode", ("auto", "required")) or "auto"
        tools = choice.objects("tools")
        if not tools:
            raise choice.wrong("tools", "is required", MISSING)
        return mode, frozenset(_known(one, "name", one.wanted("name"), names) for one in tools)
    raise choice.unsupported("type", f'there is no tool "{kind[:60]}", only functions')


def _known(found: Members, name: str, wanted: str, names: set[str]) -> str:
    if wanted not in names:
        raise found.wrong(name, f"names `{wanted[:100]}`, which is not one of 'tools'")
    return wanted
