"""An engine's server-sent events as those of a response. Pure."""

import json
from collections.abc import Callable
from typing import Any, Final

from runnerd.responses.events import Events
from runnerd.responses.spoken import Piece, piece_of

BROKEN: Final = "the engine ended its answer before it was whole"
SHAPELESS: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What an answer raises that has not the shape of one."""

_DATA: Final = b"data:"
_DONE: Final = b"[DONE]"
_FAILED: Final = "engine_failed"

# Once per token: `decode` would look for blanks at both ends, of which there are none.
_decode: Final = json.JSONDecoder().raw_decode


class Stream:
    """Takes an answer's bytes as they come, gives events.

    `ended`: the last event is given; `broken`: it has failed, so nothing else is worth reading.
    """

    def __init__(
        self,
        events: Events,
        top_logprobs: int,
        now: Callable[[], int],
        on_end: Callable[[dict[str, Any]], object] = lambda _: None,
    ) -> None:
        """`now` gives seconds since the Unix epoch; `on_end` gets the response when it is whole."""
        self._events = events
        self._top = top_logprobs
        self._now = now
        self._on_end = on_end
        self._rest = b""
        self._begun = False
        self._last = Piece()
        self.ended = False
        self.broken = False

    def take(self, chunk: bytes) -> bytes:
        """The events that are whole with these bytes."""
        out = "" if self._begun else self._events.begin()
        self._begun = True
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(_DATA) and not self.ended:
                out += self._event(line)
        return out.encode("ascii")

    def end(self) -> bytes:
        """What is still to say when no more bytes come."""
        if self.ended:
            return b""
        if self._rest.startswith(_DATA):
            rest, self._rest = self._rest, b""
            return self.take(rest + b"\n") + self.end()
        return self._finish().encode("ascii")

    def failed(self, message: str) -> bytes:
        """The last events of an answer that cannot go on."""
        return b"" if self.ended else self._fail(message).encode("ascii")

    def _event(self, line: bytes) -> str:
        data = line[len(_DATA) :].strip()
        if data == _DONE:
            return self._finish()
        try:
            found, end = _decode(text := data.decode())
            if end != len(text):
                raise ValueError("more than one value")
            if "error" in found:
                return self._fail(_message(found["error"]))
            piece = piece_of(found, self._top)
            self._last.usage = piece.usage or self._last.usage
            if piece.ended:
                self._last.ended, self._last.reason = True, piece.reason
            return self._events.say(piece)
        except SHAPELESS:
            return self._fail("the engine said something that is no part of an answer")

    def _finish(self) -> str:
        if not self._last.ended:
            return self._fail(BROKEN)
        return self._told(*self._events.end(self._last.reason, self._last.usage, self._now()))

    def _fail(self, message: str) -> str:
        self.broken = True
        return self._told(*self._events.fail(message, _FAILED))

    def _told(self, events: str, response: dict[str, Any]) -> str:
        self.ended = True
        self._on_end(response)
        return events


def _message(found: Any) -> str:
    told = found.get("message") if isinstance(found, dict) else found
    return told if isinstance(told, str) and told else "the engine failed at this request"
