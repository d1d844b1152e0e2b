"""Error bodies in the shapes that clients parse."""

from typing import Any


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
