"""What an engine says: one shape for its three routes, streamed or not. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from runnerd.ollama.asked import CHAT_PATH, INSERT_PATH

_REASONS: Final = {"length": "length", "limit": "length"}
"""What ended an answer before its own end; everything else is a stop."""


@dataclass(slots=True)
class Said:
    """A part of an answer, or the whole of it.

    `calls` are tools' calls as OpenAI writes them; in a stream each has an `index` and pieces of
    its arguments. `ended` is Ollama's word for why it ended, "" while it goes on.
    """

    content: str = ""
    thinking: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    logprobs: list[dict[str, Any]] = field(default_factory=list)
    ended: str = ""
    usage: Mapping[str, Any] | None = None
    timings: Mapping[str, Any] | None = None


def said(path: str, data: Mapping[str, Any]) -> Said:
    """What one object of the engine's route `path` says.

    Raises:
        LookupError, TypeError, AttributeError: it has not the shape of that route.
    """
    if path == INSERT_PATH:
        return _inserted(data)
    found = Said(usage=data.get("usage"), timings=data.get("timings"))
    if choices := data.get("choices"):
        choice = choices[0]
        if finish := choice.get("finish_reason"):
            found.ended = _REASONS.get(finish, "stop")
        if path == CHAT_PATH:
            message = choice.get("delta") or choice.get("message") or {}
            found.content = message.get("content") or ""
            found.thinking = message.get("reasoning_content") or message.get("reasoning") or ""
            found.calls = message.get("tool_calls") or []
        else:
            found.content = choice.get("text") or ""
        if logprobs := choice.get("logprobs"):
            found.logprobs = [_logprob(one) for one in logprobs.get("content") or []]
    return found


def _inserted(data: Mapping[str, Any]) -> Said:
    found = Said(content=data.get("content") or "")
    if data.get("stop"):
        found.ended = _REASONS.get(data.get("stop_type", ""), "stop")
        found.usage = {
            "prompt_tokens": data.get("tokens_evaluated", 0),
            "completion_tokens": data.get("tokens_predicted", 0),
        }
        found.timings = data.get("timings")
    return found


def _logprob(found: Mapping[str, Any]) -> dict[str, Any]:
    """One token's, in the words of Ollama's `Logprob`."""
    told = _token(found)
    if top := found.get("top_logprobs"):
        told["top_logprobs"] = [_token(one) for one in top]
    return told


def _token(found: Mapping[str, Any]) -> dict[str, Any]:
    told = {"token": found["token"], "logprob": found["logprob"]}
    return told | {"bytes": found["bytes"]} if found.get("bytes") else told
