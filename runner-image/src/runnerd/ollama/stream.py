"""An engine's server-sent events as Ollama's lines. Pure."""

import json
from typing import Any, Final

from runnerd.ollama.counters import Course
from runnerd.ollama.said import Said, said
from runnerd.ollama.spoken import Clock, Spoken
from runnerd.server.dialects import Dialect, Rejection, error_event

_DATA: Final = b"data:"
_DONE: Final = b"[DONE]"
_BROKEN: Final = "the engine ended its answer before it was whole"
_SHAPELESS: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError)

# Once per token: `decode` would look for blanks at both ends, of which there are none.
_decode: Final = json.JSONDecoder().raw_decode


class Stream:
    """Takes an answer's bytes as they come, gives lines.

    `ended`: the last line is given; `broken`: it told an error, so nothing else is worth reading.

    An event that says nothing (a comment, the role) becomes no line. Calls of tools are told once
    they are whole, since Ollama's clients take each for a whole one.
    """

    def __init__(self, path: str, spoken: Spoken, course: Course, clock: Clock) -> None:
        self._path = path
        self._spoken = spoken
        self._course = course
        self._clock = clock
        self._rest = b""
        self._calls: dict[int, dict[str, Any]] = {}
        self._last = Said()
        self.ended = False
        self.broken = False

    def take(self, chunk: bytes) -> bytes:
        """The lines that are whole with these bytes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        out = [self._event(line) for line in lines if line.startswith(_DATA)]
        return b"".join(out)

    def end(self) -> bytes:
        """What is still to say when no more bytes come."""
        if self.ended:
            return b""
        if self._rest.startswith(_DATA):
            rest, self._rest = self._rest, b""
            return self.take(rest + b"\n") + self.end()
        return self._finish() if self._last.ended else self._error(_BROKEN)

    def failed(self, message: str) -> bytes:
        """The last line of an answer that cannot go on."""
        return b"" if self.ended else self._error(message)

    def _event(self, line: bytes) -> bytes:
        if self.ended:
            return b""
        data = line[len(_DATA) :].strip()
        if data == _DONE:
            return self._finish() if self._last.ended else self._error(_BROKEN)
        try:
            found, end = _decode(text := data.decode())
            if end != len(text):
                raise ValueError("more than one value")
            if "error" in found:
                return self._error(_message(found["error"]))
            return self._say(said(self._path, found)).encode("ascii")
        except _SHAPELESS:
            return self._error("the engine said something that is no part of an answer")

    def _say(self, found: Said) -> str:
        if not self._course.first:
            self._course.first = self._clock()
        if found.calls:
            self._collect(found.calls)
            found.calls = []
        self._last.usage = found.usage or self._last.usage
        self._last.timings = found.timings or self._last.timings
        self._last.ended = found.ended or self._last.ended
        if found.thinking or found.logprobs:
            return self._spoken.part(found)
        return self._spoken.piece(found.content) if found.content else ""

    def _collect(self, pieces: list[dict[str, Any]]) -> None:
        for piece in pieces:
            call = self._calls.setdefault(piece.get("index") or 0, {"id": "", "function": {}})
            call["id"] = piece.get("id") or call["id"]
            function, more = call["function"], piece.get("function") or {}
            for name in ("name", "arguments"):
                function[name] = function.get(name, "") + (more.get(name) or "")

    def _finish(self) -> bytes:
        self.ended = True
        self._course.ended = self._clock()
        calls = [self._calls[index] for index in sorted(self._calls)]
        told = self._spoken.part(Said(calls=calls)) if calls else ""
        return (told + self._spoken.last(self._last, self._course)).encode("ascii")

    def _error(self, message: str) -> bytes:
        self.ended = self.broken = True
        return error_event(Dialect.OLLAMA, Rejection(502, message))


def _message(found: Any) -> str:
    told = found.get("message") if isinstance(found, dict) else found
    return told if isinstance(told, str) and told else "the engine failed at this request"
