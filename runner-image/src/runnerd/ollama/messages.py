"""Ollama's messages as OpenAI's. Pure.

What differs: images lie beside the text, a tool's arguments are an object, a call need not
have an ID, and the answer of a tool names the tool and not the call.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from runnerd.ollama.members import AskedWronglyError, Object, nested, objects, text, texts

_ROLES: Final = frozenset({"system", "user", "assistant", "tool"})
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_KINDS: Final = (("iVBOR", "png"), ("R0lGOD", "gif"), ("UklGR", "webp"), ("Qk", "bmp"))
"""How the first bytes of an image look in base64; else it is taken for a JPEG."""


def openai_messages(found: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The messages of a chat.

    Raises:
        AskedWronglyError: one of them has a wrong role or a member of the wrong type.
    """
    calls = _Calls()
    return [_message(one, calls) for one in found]


def user_message(prompt: str, images: list[str]) -> dict[str, Any]:
    """What a user says."""
    return {"role": "user", "content": _content(prompt, images)}


def called_tools(calls: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """OpenAI's calls of tools, whole ones, as Ollama tells them.

    Raises:
        ValueError: a call's arguments are not a JSON object.
    """
    return [_called(index, call) for index, call in enumerate(calls)]


class _Calls:
    """The calls that no tool has answered yet, by ID, with the names of their tools."""

    def __init__(self) -> None:
        self._open: dict[str, str] = {}
        self._count = 0

    def made(self, identity: str, name: str) -> str:
        """The ID of a call."""
        identity = identity or f"call_{self._count}"
        self._count += 1
        self._open[identity] = name
        return identity

    def answered(self, identity: str, name: str) -> str:
        """The ID of the call that a tool answers: its own, or the oldest of the tool."""
        if not identity:
            of_tool = (one for one, tool in self._open.items() if name in {"", tool})
            identity = next(of_tool, f"call_{self._count}")
        self._open.pop(identity, None)
        return identity


def _message(found: Mapping[str, Any], calls: _Calls) -> dict[str, Any]:
    role = text(found, "role")
    if role not in _ROLES:
        raise AskedWronglyError(
            f"the role {role[:40]!r} is none of system, user, assistant and tool", "messages"
        )
    told: dict[str, Any] = {
        "role": role,
        "content": _content(text(found, "content"), texts(found, "images")),
    }
    if thinking := text(found, "thinking"):
        told["reasoning_content"] = thinking
    if asked := objects(found, "tool_calls"):
        told["tool_calls"] = [_call(one, calls) for one in asked]
    if role == "tool":
        name = text(found, "tool_name") or text(found, "name")
        told["tool_call_id"] = calls.answered(text(found, "tool_call_id"), name)
        if name:
            told["name"] = name
    return told


def _call(found: Object, calls: _Calls) -> dict[str, Any]:
    function = nested(found, "function")
    name, arguments = text(function, "name"), function.get("arguments")
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict | str):
        raise AskedWronglyError("'arguments' of a tool call must be an object", "messages")
    written = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {
        "id": calls.made(text(found, "id"), name),
        "type": "function",
        "function": {"name": name, "arguments": written},
    }


def _content(written: str, images: list[str]) -> str | list[dict[str, Any]]:
    if not images:
        return written
    parts: list[dict[str, Any]] = [{"type": "text", "text": written}] if written else []
    parts += [{"type": "image_url", "image_url": {"url": _url(image)}} for image in images]
    return parts


def _url(image: str) -> str:
    if image.startswith("data:image/"):
        return image
    if not _BASE64.fullmatch(image):
        raise AskedWronglyError("an image must be in base64", "images")
    kind = next((kind for head, kind in _KINDS if image.startswith(head)), "jpeg")
    return f"data:image/{kind};base64,{image}"


def _called(index: int, call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function") or {}
    arguments = json.loads(function.get("arguments") or "{}")
    if not isinstance(arguments, dict):
        raise ValueError("arguments are not an object")  # noqa: TRY004 - of a text, not of a caller
    told = {"index": index, "name": function.get("name") or "", "arguments": arguments}
    identity = call.get("id")
    return {"id": identity, "function": told} if identity else {"function": told}
