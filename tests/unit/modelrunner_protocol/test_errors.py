"""Error bodies."""

from modelrunner_protocol.errors import openai_error


def test_openai_error_has_all_four_fields() -> None:
    """Clients of OpenAI read them by name, null included."""
    assert openai_error("no", kind="invalid_request_error") == {
        "error": {"message": "no", "type": "invalid_request_error", "code": None, "param": None}
    }
    found = openai_error("no", kind="k", code="model_not_found", param="model")["error"]
    assert (found["code"], found["param"]) == ("model_not_found", "model")
