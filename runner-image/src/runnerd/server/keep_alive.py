"""The member `keep_alive` of a request's body: what it asks for, and the body without it. Pure.

Source: ollama/ollama docs/api.md; docker/model-runner `pkg/ollama/api.go`. Engines do not know it.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from modelrunner_protocol.durations import parse_keep_alive
from runnerd.server.dialects import Rejection, reject

MEMBER: Final = "keep_alive"


def asked_keep_alive(data: Mapping[str, Any]) -> float | Rejection | None:
    """Seconds (negative: for ever) that a body asks for; None when it does not."""
    value = data.get(MEMBER)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return reject(400, "'keep_alive' must be a duration or a number of seconds", param=MEMBER)
    try:
        return parse_keep_alive(value)
    except ValueError as error:
        return reject(400, f"'keep_alive': {error}", param=MEMBER)


def without_keep_alive(text: str, decoder: json.JSONDecoder) -> str:
    """The same object without the member `keep_alive`, see `without_member`."""
    return without_member(text, MEMBER, decoder)


def without_member(text: str, member: str, decoder: json.JSONDecoder) -> str:
    """The same object without the member, every other member to the letter.

    Nothing is written anew: numbers that no float holds, escapes and equal names stay as they are.

    Args:
        text: An object that `decoder` has read without an error.
        member: Its name.
        decoder: The one that did.
    """
    kept = (text[start:end] for name, start, end in _members(text, decoder) if name != member)
    return "{" + ",".join(kept) + "}"


def _members(text: str, decoder: json.JSONDecoder) -> Iterator[tuple[str, int, int]]:
    """Name, first character and end of each member of the object that `text` is."""
    at = _skip(text, text.index("{") + 1)
    while text[at] != "}":
        name, end = decoder.raw_decode(text, at)
        _, end = decoder.raw_decode(text, _skip(text, _skip(text, end) + 1))
        yield name, at, end
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while text[at] in " \t\n\r":
        at += 1
    return at
