"""Errors in the shapes that each family of clients parses."""

import json

import pytest

from runnerd.server.dialects import Dialect, Rejection, error_body, error_event, reject

FOUND = reject(400, "no good", code="c", param="p")


@pytest.mark.parametrize("dialect", [Dialect.OPENAI, Dialect.RESPONSES])
def test_openai(dialect: Dialect) -> None:
    """OpenAI's error object, on the Responses route as well."""
    error = {"message": "no good", "type": "invalid_request_error", "code": "c", "param": "p"}
    assert error_body(dialect, FOUND) == {"error": error}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (404, "not_found_error"),
        (405, "invalid_request_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (501, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
    ],
)
def test_anthropic(status: int, kind: str) -> None:
    """Anthropic's error object, with its own word for the status."""
    found = error_body(Dialect.ANTHROPIC, Rejection(status, "no"))
    assert found == {"type": "error", "error": {"type": kind, "message": "no"}}


def test_ollama() -> None:
    """One sentence."""
    assert error_body(Dialect.OLLAMA, FOUND) == {"error": "no good"}


def test_events() -> None:
    """The event that ends a stream: each client's library raises it as an error."""
    found = Rejection(502, "died \ud83d", "server_error", "engine_failed")
    events = {dialect: error_event(dialect, found) for dialect in Dialect}
    assert events.pop(Dialect.OLLAMA) == b'{"error": "died \\ud83d"}\n'
    assert all(event.endswith(b"\n\n") for event in events.values())
    assert events[Dialect.OPENAI].startswith(b'data: {"error": ')
    name, data = events[Dialect.ANTHROPIC].decode().rstrip("\n").split("\n")
    told = json.loads(data.removeprefix("data: "))
    assert name == "event: error"
    assert told["type"] == "error"
    assert told["error"]["message"] == "died ?"
