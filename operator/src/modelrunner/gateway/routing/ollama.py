"""What is Ollama's own about its requests: defaults, unloading, a stream that waits."""

import json
import time
from datetime import UTC, datetime
from typing import Final

import msgspec

from modelrunner.gateway.routing.body import Peek, peek_with
from modelrunner_protocol.durations import parse_keep_alive

_ABSENT: Final = msgspec.Raw(b"null")
_EMPTY: Final = frozenset({b"null", b'""', b"[]"})


class _Options(msgspec.Struct, gc=False):
    keep_alive: float | str | None = None


class Question(Peek, gc=False):
    """A request; what is not looked at by everybody stays as it is written."""

    name: str | None = None
    messages: msgspec.Raw = _ABSENT
    prompt: msgspec.Raw = _ABSENT
    suffix: msgspec.Raw = _ABSENT
    input: msgspec.Raw = _ABSENT
    keep_alive: msgspec.Raw = _ABSENT
    options: msgspec.Raw = _ABSENT

    @property
    def unloads(self) -> bool:
        """It asks the model nothing but to go: no prompt, and a keep_alive of 0."""
        if self.keep_alive is _ABSENT and self.options is _ABSENT:
            return False
        asked = (self.messages, self.prompt, self.suffix, self.input)
        return all(_is_empty(one) for one in asked) and self._keep_alive() == 0

    def _keep_alive(self) -> float | None:
        """Seconds, None where a runner has to judge."""
        try:
            value = msgspec.json.decode(self.keep_alive, type=float | str | None)
            if value is None:
                options = msgspec.json.decode(self.options, type=_Options | None)
                value = options.keep_alive if options is not None else None
            return None if value is None else parse_keep_alive(value)
        except (ValueError, OverflowError, RecursionError):
            return None


_decode: Final = msgspec.json.Decoder(Question).decode


def question(body: bytes) -> Question:
    """Read what routing needs; `name` is an older word for `model`.

    Raises:
        Unreadable: it is no JSON object, or a field has the wrong type.
    """
    asked = peek_with(_decode, body)
    asked.model = asked.model or asked.name
    return asked


def empty_piece(piece: str, name: str) -> bytes:
    """A line of a stream that says nothing yet.

    Ollama's lines know no comments, and its clients take a blank one for broken JSON. A piece
    of text without text is what every model with a first token of half a character sends them.

    Args:
        piece: The members that hold the text, see `Route`.
        name: The model as the client named it.
    """
    return _head(name) + f'{piece},"done":false}}\n'.encode()


def unloaded(piece: str, name: str) -> bytes:
    """The answer to a request that unloads a model; one for embeddings has no reason in it."""
    told = f'{piece},"done":true,"done_reason":"unload"' if piece else '"embeddings":[]'
    return _head(name) + f"{told}}}\n".encode()


def _head(name: str) -> bytes:
    now = datetime.fromtimestamp(time.time(), tz=UTC).isoformat().replace("+00:00", "Z")
    return f'{{"model":{json.dumps(name)},"created_at":"{now}",'.encode()


def _is_empty(raw: msgspec.Raw) -> bool:
    return raw is _ABSENT or bytes(raw).translate(None, b" \t\r\n") in _EMPTY
