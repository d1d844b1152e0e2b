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
