"""The model that a request's body names. Pure."""

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from modelrunner_protocol.errors import why_not_json
from runnerd.server.dialects import Rejection, reject
from runnerd.server.keep_alive import without_member

_MEMBER: Final = "model"
_OLDER: Final = "name"
"""Ollama's older word."""


def object_of(raw: bytes) -> tuple[str, dict[str, Any]] | Rejection:
    """A body's text and the JSON object that it is; numbers are all floats."""
    if not raw:
        return reject(400, "The request has no body: send a JSON object")
    try:
        # From text, since from bytes Python would also take UTF-16.
        text = raw.decode()
        data = DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        return reject(400, f"The body is not JSON: {why_not_json(error)}")
    if not isinstance(data, dict):
        return reject(400, "The body must be a JSON object")
    return text, data


def wrong_name(data: Mapping[str, Any]) -> Rejection | None:
    """What is wrong with the member `model`, which may be missing."""
    name = data.get(_MEMBER)
    if name is None or isinstance(name, str):
        return None
    return reject(400, "'model' must be a string", param=_MEMBER)


def model_of(raw: bytes, *, older: bool = False) -> str | Rejection:
    """The model that a body names, "" when it names none; `older`: as `name`, too."""
    read = object_of(raw)
    if isinstance(read, Rejection):
        return read
    data = read[1]
    if wrong := wrong_name(data):
        return wrong
    name = data.get(_MEMBER) or (data.get(_OLDER) if older else None)
    return name if isinstance(name, str) else ""


def with_model(raw: bytes, name: str) -> bytes:
    """The object that `raw` is, with that name for its model; other members to the letter."""
    rest = without_member(raw.decode(), _MEMBER, DECODER)[1:]
    member = f"{json.dumps(_MEMBER)}:{json.dumps(name)}"
    return ("{" + member + ("" if rest == "}" else ",") + rest).encode()


def _not_json(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


# Made once: it costs more than reading a short body. Numbers are for the engine to judge; as
# a float even one of a million digits costs nothing.
DECODER: Final = json.JSONDecoder(parse_int=float, parse_constant=_not_json)
