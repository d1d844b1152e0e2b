"""Errors and heartbeats in the words of each client: OpenAI, Anthropic, Ollama. Pure."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from modelrunner.gateway.messages import Answer
from modelrunner_protocol.errors import anthropic_error, ollama_error, openai_error

_KINDS: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
"""Anthropic's error types by status (Anthropic API reference, "Errors")."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One family of clients. `heartbeat` is what keeps a waiting stream alive."""

    name: str
    heartbeat: bytes
    error: Callable[[int, str, str, str | None], dict[str, Any]]
    event: Callable[[bytes], bytes]

    def answer(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> Answer:
        """An error answer. `retry_after` is in seconds."""
        body = json.dumps(self.error(status, code, message, param), ensure_ascii=False).encode()
        headers = [(b"content-type", b"application/json")]
        if retry_after is not None:
            headers.append((b"retry-after", b"%d" % max(1, round(retry_after))))
        return Answer(status, body, headers, code)


def _openai(status: int, code: str, message: str, param: str | None) -> dict[str, Any]:
    kind = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}.get(
        status, "invalid_request_error" if status < 500 else "server_error"
    )
    return openai_error(message, kind=kind, code=code, param=param)


def _anthropic(status: int, code: str, message: str, param: str | None) -> dict[str, Any]:
    del code, param
    kind = _KINDS.get(status, "invalid_request_error" if status < 500 else "api_error")
    return anthropic_error(message, kind=kind)


def _ollama(status: int, code: str, message: str, param: str | None) -> dict[str, Any]:
    del status, code, param
    return ollama_error(message)


def _data_event(body: bytes) -> bytes:
    return b"data: " + b" ".join(body.split(b"\n")) + b"\n\n"


def _named_event(body: bytes) -> bytes:
    return b"event: error\n" + _data_event(body)


def _line(body: bytes) -> bytes:
    return b" ".join(body.split(b"\n")) + b"\n"


OPENAI: Final = Dialect("openai", b": waking\n\n", _openai, _data_event)
ANTHROPIC: Final = Dialect(
    "anthropic", b'event: ping\ndata: {"type": "ping"}\n\n', _anthropic, _named_event
)
OLLAMA: Final = Dialect("ollama", b"", _ollama, _line)


def dialect_of(path: str) -> Dialect:
    """Whose path this is; OpenAI's shape for everything that is nobody's."""
    if path.startswith("/api/"):
        return OLLAMA
    if path.startswith("/anthropic/") or "/v1/messages" in path:
        return ANTHROPIC
    return OPENAI
