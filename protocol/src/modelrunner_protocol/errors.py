"""Error bodies in the shapes that clients parse."""

import json
from collections.abc import Mapping
from typing import Any, Final

ANTHROPIC_KINDS: Final[Mapping[int, str]] = {
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
"""Anthropic's error types by status. Source: Anthropic API reference, "Errors"."""


def openai_error(
    message: str, *, kind: str, code: str | None = None, param: str | None = None
) -> dict[str, Any]:
    """OpenAI's error object: `{"error": {"message", "type", "code", "param"}}`.

    Args:
        message: A sentence for people.
        kind: OpenAI's error type, e.g. "invalid_request_error".
        code: A word for programs, e.g. "model_not_found".
        param: The request field at fault.

    Source: OpenAI API reference, "Error codes".
    """
    return {"error": {"message": message, "type": kind, "code": code, "param": param}}


def anthropic_error(message: str, *, kind: str) -> dict[str, Any]:
    """Anthropic's error object: `{"type": "error", "error": {"type", "message"}}`.

    `kind` is Anthropic's error type, e.g. "not_found_error". Source: Anthropic API reference,
    "Errors".
    """
    return {"type": "error", "error": {"type": kind, "message": message}}


def ollama_error(message: str) -> dict[str, Any]:
    """Ollama's error object: `{"error": "…"}`. Source: ollama/ollama docs/api.md."""
    return {"error": message}


def why_not_json(error: Exception) -> str:
    """Why a body cannot be read, in words without those of Python's insides."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error)[:200]
