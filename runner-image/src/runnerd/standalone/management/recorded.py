"""What is kept of bodies, and how it is shown: media cut short, streams put together. Pure."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

# It begins where no other letter stands before: else a word of 199 would be looked at 199 times.
_MEDIA: Final = re.compile(rb"(?<![A-Za-z0-9+/])([A-Za-z0-9+/]{100})([A-Za-z0-9+/]{100,}={0,2})")
"""Pictures, sound and vectors in base64; nothing that people write has so many letters on end."""


def without_media(raw: bytes, limit: int, *, left: int = 0) -> bytes:
    """The beginning of a body, at most `limit` bytes and a note, without long base64.

    `left`: how many bytes of the body `raw` does not hold.
    """
    short = _MEDIA.sub(_cut, raw)
    left += max(len(short) - limit, 0)
    return short[:limit] + _note(left) if left else short


def readable(raw: bytes, *, cut: int = 0) -> str:
    """An answer as text: a stream of a chat becomes the answer that it would have been.

    `cut`: how many bytes of the answer are missing at its end.
    """
    if b"data: " in raw[:4096]:
        events = list(_events(raw.decode(errors="replace")))
        if whole := _chat(events) or _message(events):
            return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
    short = without_media(raw, len(raw), left=cut)
    return short.decode(errors="replace")


def _cut(found: "re.Match[bytes]") -> bytes:
    return found[1] + b"...[truncated %d chars]" % len(found[2])


def _note(left: int) -> bytes:
    return b"...[truncated %d bytes]" % left


def _events(text: str) -> Iterator[Mapping[str, Any]]:
    for line in text.split("\n"):
        if not line.startswith("data: "):
            continue
        try:
            event = json.loads(line.removeprefix("data: "))
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict):
            yield event


def _chat(events: list[Mapping[str, Any]]) -> dict[str, Any] | None:
    """An OpenAI chat from its pieces; None for another stream, or one that ended in an error."""
    chunks = [event for event in events if event.get("object") == "chat.completion.chunk"]
    if not chunks or any("error" in event for event in events):
        return None
    text, thoughts, calls, reason = "", "", list[Any](), None
    for choice in (one for chunk in chunks for one in _objects(chunk.get("choices"))[:1]):
        delta = choice.get("delta")
        if isinstance(delta, dict):
            text += _text(delta.get("content"))
            thoughts += _text(delta.get("reasoning_content"))
            calls += _objects(delta.get("tool_calls"))
        reason = choice.get("finish_reason") or reason
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if thoughts:
        message["reasoning_content"] = thoughts
    if calls:
        message["tool_calls"] = calls
    choice = {"finish_reason": reason, "index": 0, "message": message}
    return {**chunks[-1], "object": "chat.completion", "choices": [choice]}


def _message(events: list[Mapping[str, Any]]) -> dict[str, Any] | None:
    """An Anthropic message from its events; None for another stream or one with an error."""
    started = next((one["message"] for one in events if one.get("type") == "message_start"), None)
    if not isinstance(started, dict) or any(one.get("type") == "error" for one in events):
        return None
    message, text = dict(started), ""
    for event in events:
        delta = event.get("delta")
        if not isinstance(delta, dict):
            continue
        text += _text(delta.get("text"))
        if event.get("type") == "message_delta":
            message |= {key: delta[key] for key in ("stop_reason", "stop_sequence") if key in delta}
            message["usage"] = event.get("usage", message.get("usage"))
    return message | {"content": [{"type": "text", "text": text}]}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
