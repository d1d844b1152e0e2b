"""Errors and heartbeats in the words of each client: OpenAI, Anthropic, Ollama, Docker. Pure."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelrunner.gateway.messages import Answer, Headers
from modelrunner_protocol.dmr import TEXT
from modelrunner_protocol.errors import (
    ANTHROPIC_KINDS,
    anthropic_error,
    ollama_error,
    openai_error,
)

_OPENAI_KINDS: Final = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}
_DMR_PATH: Final = re.compile(
    r"/models(/.*)?|/logs"
    r"|/engines/(status|ps|df|requests|install-backend|uninstall-backend)"
    r"|/engines/([^/]+/)?(unload|_unload|_configure)"
)
_TEXT_LIMIT: Final = 1000
EVENTS: Final = b"text/event-stream; charset=utf-8"
LINES: Final = b"application/x-ndjson"


_PLAIN: Final = (b"content-type", TEXT.encode())


class Refused(Exception):  # noqa: N818 - no fault of ours: it is what the client is told
    """A request that gets an error, in the dialect of its path. `retry_after` is in seconds."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        param: str | None = None,
        *,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.param = status, code, message, param
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Dialect:
    """One family of clients.

    `heartbeat` is what keeps a waiting stream alive: the same for every request, or "" where it
    depends on the request (Ollama's, see `routing.ollama`). `media` is the type of a stream. `error` is the body of an error by status,
    word for programs, sentence and field at fault; `owns` says whether a decoded body is an error
    in this dialect; `frame` makes a stream's event of one.
    `names_request`: errors carry the request's ID, in the body and in a header of their own.
    `plain`: errors are a line of text, since people read them as they are.
    """

    name: str
    heartbeat: bytes
    error: Callable[[int, str, str, str | None], dict[str, Any]]
    owns: Callable[[Any], bool]
    frame: Callable[[dict[str, Any]], bytes]
    names_request: bool = False
    plain: bool = False
    media: bytes = EVENTS

    def answer(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after: float | None = None,
        request_id: bytes = b"",
    ) -> Answer:
        """An error answer. `retry_after` is in seconds."""
        if self.plain:
            return Answer(status, _line_of(message), [_PLAIN, *_retry(retry_after)], code)
        body = self.error(status, code, message, param)
        headers: Headers = [(b"content-type", b"application/json")]
        if self.names_request and request_id:
            body["request_id"] = request_id.decode("latin-1")
            headers.append((b"request-id", request_id))
        return Answer(status, _encoded(body), [*headers, *_retry(retry_after)], code)

    def event(self, status: int, body: bytes) -> bytes:
        """The last event of a stream that ends in an error.

        `body` is that of an error answer, ours or an endpoint's: what is not in this dialect is put
        into it, since a client that does not know an event for an error takes the stream for whole.
        """
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = body.decode(errors="replace")
        if not self.owns(found):
            found = self.error(status, "upstream_error", _message(status, found), None)
        return self.frame(found)


def _openai(status: int, code: str, message: str, param: str | None) -> dict[str, Any]:
    kind = _OPENAI_KINDS.get(status, "invalid_request_error" if status < 500 else "server_error")
    return openai_error(message, kind=kind, code=code, param=param)


def _is_openai(body: Any) -> bool:
    error = body.get("error") if isinstance(body, Mapping) else None
    return isinstance(error, Mapping) and isinstance(error.get("message"), str)


def _anthropic(status: int, code: str, message: str, param: str | None) -> dict[str, Any]:
    del code, param
    kind = ANTHROPIC_KINDS.get(status, "invalid_request_error" if status < 500 else "api_error")
    return anthropic_error(message, kind=kind)


def _is_anthropic(body: Any) -> bool:
    return (
        _is_openai(body)
        and body.get("type") == "error"
        and isinstance(body["error"].get("type"), str)
    )


def _ollama(status: int, code: str, message: str, param: str | None) -> dict[str, Any]:
    del status, code, param
    return ollama_error(message)


def _is_ollama(body: Any) -> bool:
    return isinstance(body, Mapping) and isinstance(body.get("error"), str)


def _message(status: int, body: Any) -> str:
    """The sentence of an error in whatever shape."""
    if isinstance(body, Mapping):
        inner = body.get("error")
        named = inner if isinstance(inner, Mapping) else body
        for found in (named.get("message"), inner, body.get("detail")):
            if isinstance(found, str) and found:
                return found
        body = ""
    text = str(body).strip()[:_TEXT_LIMIT]
    return text or f"the runner answered with status {status}"


def _retry(seconds: float | None) -> Headers:
    if seconds is None:
        return []
    return [(b"retry-after", b"%d" % max(1, math.ceil(seconds)))]


def _line_of(message: str) -> bytes:
    return " ".join(message.split()).encode(errors="replace") + b"\n"


def _encoded(body: Mapping[str, Any]) -> bytes:
    # Names of models come from clients, so they may hold what UTF-8 cannot: "\ud800" is JSON.
    return json.dumps(body, ensure_ascii=False).encode(errors="replace")


def _one_line(body: dict[str, Any]) -> bytes:
    # ASCII: many clients split lines as Python's str does, at U+0085 and U+2028 too.
    return json.dumps(json.loads(_encoded(body))).encode()


def _data(body: dict[str, Any]) -> bytes:
    return b"data: " + _one_line(body) + b"\n\n"


def _error_event(body: dict[str, Any]) -> bytes:
    return b"event: error\n" + _data(body)


def _responses_event(body: dict[str, Any]) -> bytes:
    """The Responses API's own `error` event, which also holds the error as all others do.

    openai-python only raises for the member `error`; others read the members beside it.
    """
    error = body["error"]
    told = {key: error.get(key) for key in ("code", "message", "param")}
    return _error_event({"type": "error", "sequence_number": 0, **told, "error": error})


def _line(body: dict[str, Any]) -> bytes:
    return _one_line(body) + b"\n"


_WAKING: Final = b": waking\n\n"

OPENAI: Final = Dialect("openai", _WAKING, _openai, _is_openai, _data)
RESPONSES: Final = Dialect("openai", _WAKING, _openai, _is_openai, _responses_event)
"""OpenAI's Responses API: errors are the same, events are named."""

ANTHROPIC: Final = Dialect(
    "anthropic",
    b'event: ping\ndata: {"type": "ping"}\n\n',
    _anthropic,
    _is_anthropic,
    _error_event,
    names_request=True,
)
OLLAMA: Final = Dialect("ollama", b"", _ollama, _is_ollama, _line, media=LINES)
DMR: Final = Dialect("dmr", b"", _openai, _is_openai, _line, plain=True)
"""Docker Model Runner's own routes: its command line prints an error's body as it is."""


def dialect_of(path: str) -> Dialect:
    """Whose path this is; OpenAI's shape for everything that is nobody's."""
    if path.startswith("/api/"):
        return OLLAMA
    if path.startswith("/anthropic/") or "/v1/messages" in path:
        return ANTHROPIC
    if _DMR_PATH.fullmatch(path):
        return DMR
    return RESPONSES if path.endswith("/responses") else OPENAI
