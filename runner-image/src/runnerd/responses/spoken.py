"""What an engine says, whole or in pieces, as a chat's answer has it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""What ended an answer before its own end, in the words of Responses."""


@dataclass(slots=True)
class Piece:
    """A part of an answer, or the whole of it.

    `calls` are as OpenAI writes them; in a stream each has an `index` and a piece of its arguments.
    `ended`: it was the last part; `reason` then says why it is not whole, "" when it is.
    """

    thoughts: str = ""
    text: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    logprobs: list[dict[str, Any]] = field(default_factory=list)
    ended: bool = False
    reason: str = ""
    usage: Mapping[str, Any] | None = None


def piece_of(data: Mapping[str, Any], top: int) -> Piece:
    """What an answer, or one event of a stream, says.

    `top`: how many other likely tokens are told with each.

    Raises:
        LookupError, TypeError, AttributeError: it has not the shape of a chat's answer.
    """
    found = Piece(usage=data.get("usage"))
    if choices := data.get("choices"):
        choice = choices[0]
        if finish := choice.get("finish_reason"):
            found.ended, found.reason = True, _INCOMPLETE.get(finish, "")
        message = choice.get("delta") or choice.get("message") or {}
        found.text = message.get("content") or ""
        found.thoughts = message.get("reasoning_content") or message.get("reasoning") or ""
        found.calls = message.get("tool_calls") or []
        if logprobs := choice.get("logprobs"):
            found.logprobs = [_logprob(one, top) for one in logprobs.get("content") or []]
    return found


def usage_of(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The tokens of an answer in the words of Responses; None when nobody counted."""
    if found is None:
        return None
    taken, given = _count(found, "prompt_tokens"), _count(found, "completion_tokens")
    cached = _count(found.get("prompt_tokens_details"), "cached_tokens")
    thought = _count(found.get("completion_tokens_details"), "reasoning_tokens")
    return {
        "input_tokens": taken,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": given,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": taken + given,
    }


def _count(found: Any, name: str) -> int:
    value = found.get(name) if isinstance(found, Mapping) else None
    return value if type(value) is int else 0


def _logprob(found: Mapping[str, Any], top: int) -> dict[str, Any]:
    others = found.get("top_logprobs") or []
    return _token(found) | {"top_logprobs": [_token(one) for one in others[:top]]}


def _token(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "token": found["token"],
        "logprob": found["logprob"],
        "bytes": found.get("bytes") or [],
    }
