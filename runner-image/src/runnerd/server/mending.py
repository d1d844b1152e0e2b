"""An engine's answers as their clients need them. Pure.

llama-server calls a model by the name it was started with, whatever it was asked for; where the
first token of a stream is half a character, it leaves out the stream's first event; and it never
says `ping` on Anthropic's route, as Anthropic's own streams do after they have begun.
"""

import json
import re
from typing import Any, Final

from runnerd.server.dialects import Dialect
from runnerd.server.routes import Inference

PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
_END: Final = b"\n\n"
_COMMENTS: Final = re.compile(rb"(?::[^\n]*\n|\n)*")
_HEADLESS: Final = re.compile(rb"event: (?:content_block_|message_delta|message_stop)")
_CHAT: Final = "chat_completions"
_MESSAGES: Final = "messages"
_DELTA: Final = b'"delta":{'
_ROLE: Final = b'"role":"assistant"'
_CHUNK: Final = b'"object":"chat.completion.chunk"'


class Renaming:
    """Puts the name that a client used in the place of the engine's own, in pieces of an answer.

    Within a string of JSON each quote is escaped, so that what is looked for is never text. Only
    what may be the beginning of a name is held back, until the next piece.
    """

    __slots__ = ("_done", "_held", "_new", "_old", "_once")

    def __init__(self, own: str, asked: str, dialect: Dialect) -> None:
        self._old = _member(own, ascii_only=False)
        self._new = _member(asked, ascii_only=True)
        # What a model gives a tool is an object in Anthropic's answers, and may hold the same.
        self._once = dialect is Dialect.ANTHROPIC
        self._done = False
        self._held = b""

    def whole(self, body: bytes) -> bytes:
        """A whole answer. Anthropic's says the name after its content."""
        if self._once:
            return self._new.join(body.rsplit(self._old, 1))
        return body.replace(self._old, self._new)

    def take(self, piece: bytes) -> bytes:
        """What may be passed on with this piece of a stream."""
        if self._done:
            return piece
        if self._held:
            piece, self._held = self._held + piece, b""
        if self._once:
            head, found, rest = piece.partition(self._old)
            if found:
                self._done = True
                return head + self._new + rest
        else:
            piece = piece.replace(self._old, self._new)
        # The usual end: that of an event.
        return piece if piece.endswith(b"\n") else self._cut(piece)

    def end(self) -> bytes:
        """What was held back, when no more comes."""
        held, self._held = self._held, b""
        return held

    def _cut(self, piece: bytes) -> bytes:
        for size in range(min(len(self._old) - 1, len(piece)), 0, -1):
            if piece.endswith(self._old[:size]):
                self._held = piece[-size:]
                return piece[:-size]
        return piece


def opens(route: Inference) -> bool:
    """Whether streams of this route begin with an event that clients cannot do without."""
    return route.name in {_CHAT, _MESSAGES}


def is_comment(piece: bytes) -> bool:
    """Whether a stream has not begun yet: the engine only said that it is still there."""
    return _beginning(piece) == len(piece)


def lacks_start(piece: bytes) -> bool:
    """Whether the first events of a stream of Anthropic's lack its `message_start`."""
    return _HEADLESS.match(piece, _beginning(piece)) is not None


def message_start(model: str, identity: str, tokens: int) -> bytes:
    """The event that was left out. `tokens`: those of the request."""
    message: dict[str, Any] = {
        "id": f"msg_{identity}",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": model,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"cache_read_input_tokens": 0, "input_tokens": tokens, "output_tokens": 0},
    }
    data = json.dumps({"type": "message_start", "message": message}, separators=(",", ":"))
    return b"event: message_start\ndata: " + data.encode() + b"\n\n"


def with_ping(piece: bytes) -> bytes:
    """The first events of Anthropic's stream, a `ping` after the first whole one of them."""
    end = piece.find(_END, _beginning(piece))
    if end < 0:
        return piece
    end += len(_END)
    return piece[:end] + PING + piece[end:]


def with_role(piece: bytes) -> bytes:
    """The first events of OpenAI's stream; the first of all says who speaks."""
    begin = _beginning(piece)
    end = piece.find(b"\n\n", begin)
    event = piece[begin : end if end >= 0 else len(piece)]
    place = event.find(_DELTA)
    if place < 0 or _ROLE in event or _CHUNK not in event:
        return piece
    place += begin + len(_DELTA)
    comma = b"" if piece.startswith(b"}", place) else b","
    return piece[:place] + _ROLE + comma + piece[place:]


def _beginning(piece: bytes) -> int:
    found = _COMMENTS.match(piece)
    return found.end() if found else 0


def _member(name: str, *, ascii_only: bool) -> bytes:
    text = json.dumps(name, ensure_ascii=ascii_only).encode(errors="replace")
    return b'"model":' + text
