"""Error bodies."""

import json

import pytest

from modelrunner_protocol.errors import openai_error, why_not_json


def test_openai_error_has_all_four_fields() -> None:
    """Clients of OpenAI read them by name, null included."""
    assert openai_error("no", kind="invalid_request_error") == {
        "error": {"message": "no", "type": "invalid_request_error", "code": None, "param": None}
    }
    found = openai_error("no", kind="k", code="model_not_found", param="model")["error"]
    assert (found["code"], found["param"]) == ("model_not_found", "model")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"a":', "Expecting value at line 1, column 6"),
        (b"\xff", "it is not UTF-8"),
        (b"[" * 100_000, "it is nested too deeply"),
    ],
)
def test_why_a_body_cannot_be_read(body: bytes, says: str) -> None:
    """In words, without Python's insides."""
    with pytest.raises((ValueError, RecursionError)) as caught:
        json.loads(body.decode())
    assert why_not_json(caught.value) == says
