"""Reads JSON that strangers wrote without becoming much larger than the text. Pure."""

import json
from collections.abc import Iterable
from typing import Any, Final

_MOST_LISTS: Final = 1 << 18
"""Lists and objects; each takes some 60 bytes of memory and as little as two of the text."""

_MOST_VALUES: Final = 1 << 20


class UnreadableError(ValueError):
    """Text that is not a JSON object, or one that would take too much memory."""


def read_object(data: bytes | bytearray) -> dict[str, Any]:
    """A JSON object in which no name stands twice.

    Raises:
        UnreadableError: it is none; the message ends a sentence that begins with its name.
    """
    if data.count(b"[") + data.count(b"{") > _MOST_LISTS or data.count(b",") > _MOST_VALUES:
        raise UnreadableError("holds more values than any of its kind")
    try:
        found = json.loads(data, object_pairs_hook=_without_twins)
    except UnreadableError:
        raise
    except (ValueError, RecursionError) as error:
        raise UnreadableError("is not JSON") from error
    if not isinstance(found, dict):
        raise UnreadableError("is not a JSON object")
    return found


def _without_twins(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    # Two readers of one text must not see two different things.
    listed = list(pairs)
    found = dict(listed)
    if len(found) < len(listed):
        raise UnreadableError("has a name twice")
    return found
