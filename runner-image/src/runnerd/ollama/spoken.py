"""Answers in Ollama's words: whole objects, and the lines of a stream. Pure.

Lines are ASCII: Python's clients split them as `str` does, at U+0085 and U+2028 too.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Final

from runnerd.ollama.asked import Asked, Kind
from runnerd.ollama.counters import Course, counters
from runnerd.ollama.messages import called_tools
from runnerd.ollama.said import Said

_SECOND: Final = 1_000_000_000

Clock = Callable[[], int]
"""Nanoseconds since the Unix epoch."""


class Stamps:
    """Points in time as Ollama writes them; the seconds' text is kept for the next ones."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._second = -1
        self._text = ""

    def now(self) -> str:
        """RFC 3339 in UTC, with microseconds."""
        second, rest = divmod(self._clock(), _SECOND)
        if second != self._second:
            self._second = second
            self._text = datetime.fromtimestamp(second, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._text}.{rest // 1000:06d}Z"


class Spoken:
    """Writes the answer to one request.

    Every object has the same members at its beginning; a stream's are put together as text,
    since this is done once per token.
    """

    def __init__(self, asked: Asked, stamps: Stamps) -> None:
        self._chat = asked.kind is Kind.CHAT
        self._model = asked.model
        self._stamps = stamps
        self._head = f'{{"model":{quoted(asked.model)},"created_at":"'
        self._text = '","message":{"role":"assistant","content":' if self._chat else '","response":'
        self._end = '},"done":false}\n' if self._chat else ',"done":false}\n'

    def piece(self, content: str) -> str:
        """A line with a piece of text, and nothing else."""
        return f"{self._head}{self._stamps.now()}{self._text}{quoted(content)}{self._end}"

    def part(self, said: Said) -> str:
        """A line with whatever came; "" when that is nothing."""
        told = self._members(said)
        if not any(told.values()) and not said.logprobs:
            return ""
        return self._line(self._object(told, said) | {"done": False})

    def last(self, said: Said, course: Course) -> str:
        """The last line: why it ended, and the counters. Its text is empty, but it is there."""
        return self._line(self.whole(said, course))

    def whole(self, said: Said, course: Course) -> dict[str, Any]:
        """An answer in one object."""
        ends = {"done": True, "done_reason": said.ended or "stop"}
        told = self._object(self._members(said), said)
        return told | ends | counters(course, said.usage, said.timings)

    def nothing(self, reason: str) -> dict[str, Any]:
        """The answer to a request without a prompt."""
        told = self._object(self._members(Said()), Said())
        return told | {"done": True, "done_reason": reason}

    def _object(self, members: Mapping[str, Any], said: Said) -> dict[str, Any]:
        told: dict[str, Any] = {"model": self._model, "created_at": self._stamps.now()}
        told |= {"message": {"role": "assistant", **members}} if self._chat else members
        return told | {"logprobs": said.logprobs} if said.logprobs else told

    def _members(self, said: Said) -> dict[str, Any]:
        content, calls = _calls(said)
        told: dict[str, Any] = {"content" if self._chat else "response": content}
        if said.thinking:
            told["thinking"] = said.thinking
        if calls:
            told["tool_calls"] = calls
        return told

    @staticmethod
    def _line(told: Mapping[str, Any]) -> str:
        return _encode(told) + "\n"


def _calls(said: Said) -> tuple[str, list[dict[str, Any]]]:
    """The text and the calls; calls that were cut off within their arguments are text."""
    if not said.calls:
        return said.content, []
    try:
        return said.content, called_tools(said.calls)
    except (ValueError, RecursionError):
        broken = [call.get("function") or {} for call in said.calls]
        return said.content + _encode(broken), []


_encode: Final = json.JSONEncoder(separators=(",", ":")).encode
