"""Which messages of a chat to leave out when it is longer than the context. Pure.

Ollama does the same: what the system said and the newest message stay, the oldest others go.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

_ROOM: Final = 8
"""One part in so many of the context is left free, for the answer and for a wrong guess."""

_IMAGE: Final = 3000
"""What an image is counted as, in characters."""


def shortened(
    messages: Sequence[Mapping[str, Any]], *, tokens: int, context: int
) -> list[Mapping[str, Any]] | None:
    """The messages that are likely to fit; None when none may be left out.

    Args:
        messages: OpenAI's.
        tokens: What they come to.
        context: Tokens that they may come to.
    """
    sizes = [_size(message) for message in messages]
    wanted = sum(sizes) * (context - context // _ROOM) // max(tokens, 1)
    last = _last_turn(messages)
    total, start = sum(sizes), 0
    dropped: set[int] = set()
    while start < last and (total > wanted or messages[start]["role"] == "tool"):
        if messages[start]["role"] != "system":
            dropped.add(start)
            total -= sizes[start]
        start += 1
    if not dropped:
        return None
    return [message for index, message in enumerate(messages) if index not in dropped]


def _last_turn(messages: Sequence[Mapping[str, Any]]) -> int:
    """Where the newest message begins: what tools answered belongs to the call of them."""
    last = len(messages) - 1
    while last > 0 and messages[last]["role"] == "tool":
        last -= 1
    return last


def _size(message: Mapping[str, Any]) -> int:
    content = message.get("content") or ""
    parts = content if isinstance(content, list) else [{"text": content}]
    calls = message.get("tool_calls")
    return (
        16
        + sum(len(part["text"]) if "text" in part else _IMAGE for part in parts)
        + (len(json.dumps(calls)) if calls else 0)
    )
