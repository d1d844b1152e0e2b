"""Errors in the words of each client: OpenAI's, its Responses', Anthropic's, Ollama's, Docker's.

Pure.
"""

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from modelrunner_protocol.errors import (
    ANTHROPIC_KINDS,
    anthropic_error,
    ollama_error,
    openai_error,
)

INVALID_REQUEST: Final = "invalid_request_error"
SERVER_ERROR: Final = "server_error"


class Dialect(Enum):
    """One family of clients."""

    OPENAI = "openai"
    RESPONSES = "responses"
    ANTHROPIC = "anthropic"
    OLLAMA = "ollama"
    DOCKER = "docker"
    """Docker Model Runner's own routes: the command line prints an error's body as it is."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """An error answer before it has a shape: HTTP status, a sentence, OpenAI's other fields."""

    status: int
    message: str
    kind: str = INVALID_REQUEST
    code: str | None = None
    param: str | None = None


def reject(
    status: int, message: str, *, code: str | None = None, param: str | None = None
) -> Rejection:
    """A client's error."""
    return Rejection(status, message, code=code, param=param)


def error_body(dialect: Dialect, found: Rejection) -> dict[str, Any]:
    """The error object that clients of this family parse."""
    if dialect is Dialect.OLLAMA:
        return ollama_error(found.message)
    if dialect is Dialect.ANTHROPIC:
        usual = INVALID_REQUEST if found.status < 500 else "api_error"
        return anthropic_error(found.message, kind=ANTHROPIC_KINDS.get(found.status, usual))
    return openai_error(found.message, kind=found.kind, code=found.code, param=found.param)


def error_event(dialect: Dialect, found: Rejection) -> bytes:
    """The last event of a stream that cannot go on, and that was passed on as it came."""
    body = error_body(dialect, found)
    if dialect is Dialect.OLLAMA:
        # ASCII: Python's clients split lines at U+0085 and U+2028, too.
        return json.dumps(body).encode() + b"\n"
    name = b"event: error\n" if dialect is Dialect.ANTHROPIC else b""
    text = json.dumps(body, ensure_ascii=False).encode(errors="replace")
    return name + b"data: " + text + b"\n\n"
