"""Items of a conversation, in the one form in which they are kept and listed. Pure.

Clients write them in many ways: a message without `type`, text without a list, a model's own
output as it was given.
"""

from collections.abc import Callable
from typing import Any, Final

from runnerd.responses.members import MISSING, WRONG_TYPE, AskedWronglyError, Members

Item = dict[str, Any]
NewId = Callable[[str], str]
"""Makes an ID that begins with this word: "msg" → "msg_…"."""

REFERENCE: Final = "item_reference"
_ROLES: Final = ("user", "assistant", "system", "developer")
_TEXTS: Final = frozenset({"input_text", "output_text", "text"})
_DETAILS: Final = ("auto", "low", "high", "original")
_STATES: Final = ("in_progress", "completed", "incomplete")


def input_items(members: Members, new_id: NewId) -> list[Item]:
    """What `input` holds; a string is one message of the user.

    References to items that were stored are left as they are: `{"type", "id"}`.

    Raises:
        AskedWronglyError: an item is malformed, or of a type that no model here can be given.
    """
    found = members.data.get("input")
    if found is None:
        return []
    if isinstance(found, str):
        return [_message(new_id("msg"), "user", [{"type": "input_text", "text": found}])]
    if not isinstance(found, list):
        raise members.wrong("input", "must be a string or a list of items", WRONG_TYPE)
    return [_item(one, new_id) for one in members.objects("input")]


def message_item(
    identity: str, text: str, *, status: str = "completed", logprobs: list[Any] | None = None
) -> Item:
    """What a model said."""
    part = output_text(text, logprobs)
    return _message(identity, "assistant", [part]) | {"status": status}


def output_text(text: str, logprobs: list[Any] | None = None) -> dict[str, Any]:
    """A part of a message of the model."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs or []}


def reasoning_item(identity: str, text: str, *, status: str = "completed") -> Item:
    """What a model thought: the thoughts themselves, since nobody here sums them up."""
    content = [{"type": "reasoning_text", "text": text}]
    return {
        "id": identity,
        "type": "reasoning",
        "status": status,
        "summary": [],
        "content": content,
    }


def call_item(
    identity: str, call_id: str, name: str, arguments: str, *, status: str = "completed"
) -> Item:
    """A call of a function."""
    return {
        "id": identity,
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def _item(found: Members, new_id: NewId) -> Item:
    kind = found.text("type")
    if kind is None:
        # Only messages may leave it out, and references, which have nothing but an ID.
        kind = REFERENCE if found.has("id") and not found.has("role") else "message"
    reader = _READERS.get(kind)
    if reader is None:
        raise found.unsupported("type", f'no model here can be given an item "{kind[:60]}"')
    return reader(found, new_id)


def _message_of(found: Members, new_id: NewId) -> Item:
    role = found.one_of("role", _ROLES)
    if role is None:
        raise found.wrong("role", "is required", MISSING)
    content = found.data.get("content")
    if content is None:
        raise found.wrong("content", "is required", MISSING)
    if isinstance(content, str):
        parts = [_text(role, content)]
    elif isinstance(content, list):
        parts = [_part(role, one) for one in found.objects("content")]
    else:
        raise found.wrong("content", "must be a string or a list of parts", WRONG_TYPE)
    return _message(_identity(found, "msg", new_id), role, parts) | _status(found)


def _message(identity: str, role: str, parts: list[dict[str, Any]]) -> Item:
    return {
        "id": identity,
        "type": "message",
        "status": "completed",
        "role": role,
        "content": parts,
    }


def _text(role: str, text: str) -> dict[str, Any]:
    return output_text(text) if role == "assistant" else {"type": "input_text", "text": text}


def _part(role: str, found: Members) -> dict[str, Any]:
    kind = found.wanted("type")
    if kind in _TEXTS:
        text = found.text("text")
        if text is None:
            raise found.wrong("text", "is required", MISSING)
        return _text(role, text)
    if kind == "refusal":
        return {"type": "refusal", "refusal": found.text("refusal") or ""}
    if kind == "input_image":
        return _image(found)
    if kind == "input_audio":
        return _audio(found)
    raise found.unsupported("type", f'no model here can be given a part "{kind[:60]}"')


def _image(found: Members) -> dict[str, Any]:
    if found.has("file_id"):
        raise found.unsupported("file_id", "no files are kept, send the image in image_url")
    return {
        "type": "input_image",
        "image_url": found.wanted("image_url"),
        "detail": found.one_of("detail", _DETAILS) or "auto",
    }


def _audio(found: Members) -> dict[str, Any]:
    sound = found.nested("input_audio")
    if sound is None:
        raise found.wrong("input_audio", "is required", MISSING)
    told = {name: sound.wanted(name) for name in ("data", "format")}
    return {"type": "input_audio", "input_audio": told}


def _call(found: Members, new_id: NewId) -> Item:
    told = call_item(
        _identity(found, "fc", new_id),
        found.wanted("call_id"),
        found.wanted("name"),
        found.text("arguments") or "{}",
    )
    return told | _status(found)


def _call_output(found: Members, new_id: NewId) -> Item:
    output = found.data.get("output")
    if output is None:
        raise found.wrong("output", "is required", MISSING)
    if isinstance(output, list):
        output = [_part("user", one) for one in found.objects("output")]
    elif not isinstance(output, str):
        raise found.wrong("output", "must be a string or a list of parts", WRONG_TYPE)
    told = {
        "id": _identity(found, "fc", new_id),
        "type": "function_call_output",
        "status": "completed",
        "call_id": found.wanted("call_id"),
        "output": output,
    }
    return told | _status(found)


def _reasoning(found: Members, new_id: NewId) -> Item:
    told: Item = {
        "id": _identity(found, "rs", new_id),
        "type": "reasoning",
        "status": "completed",
        "summary": _thoughts(found, "summary", "summary_text"),
    }
    if found.has("content"):
        told["content"] = _thoughts(found, "content", "reasoning_text")
    return told | _status(found)


def _thoughts(found: Members, name: str, kind: str) -> list[dict[str, str]]:
    return [{"type": kind, "text": one.text("text") or ""} for one in found.objects(name)]


def _reference(found: Members, _: NewId) -> Item:
    return {"type": REFERENCE, "id": found.wanted("id")}


def _identity(found: Members, word: str, new_id: NewId) -> str:
    return found.text("id") or new_id(word)


def _status(found: Members) -> dict[str, str]:
    status = found.one_of("status", _STATES)
    return {"status": status} if status else {}


_READERS: Final[dict[str, Callable[[Members, NewId], Item]]] = {
    "message": _message_of,
    "function_call": _call,
    "function_call_output": _call_output,
    "reasoning": _reasoning,
    REFERENCE: _reference,
}


def unknown_item(identity: str) -> AskedWronglyError:
    """What to raise about a reference to an item that nobody has."""
    told = f"Item with id '{identity[:100]}' not found: items are kept for an hour, with `store`"
    return AskedWronglyError(told, "input", status=404)
