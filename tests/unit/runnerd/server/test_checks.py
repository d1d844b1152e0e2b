"""What is wrong with a request, without a server."""

import pytest

from modelrunner_protocol.wire import Mode
from runnerd.server.checks import Checks, engine_refusal
from runnerd.server.routes import Inference, inference_routes
from tests.support.scripted_runner import CONFIG

ROUTES = inference_routes("llama.cpp")
COMPLETIONS = ROUTES["/v1/completions"]


@pytest.mark.parametrize("name", ["smol", "ml/smol", "gpt-x"])
def test_names(name: str) -> None:
    """The name, namespace/name and the aliases are this model; a missing name is, too."""
    checks = Checks(CONFIG)
    assert checks.knows(name)
    assert checks.body(COMPLETIONS, f'{{"model": "{name}"}}'.encode()) is None
    assert checks.body(COMPLETIONS, b'{"model": null}') is None
    assert checks.body(COMPLETIONS, b'{"prompt": "x"}') is None


@pytest.mark.parametrize("name", ["", "other/smol", "SMOL", "smol:latest"])
def test_other_names(name: str) -> None:
    """Any other name is a 404 with OpenAI's code."""
    found = Checks(CONFIG).body(COMPLETIONS, f'{{"model": "{name}"}}'.encode())
    assert found
    assert (found.status, found.body["error"]["code"]) == (404, "model_not_found")


def test_deep_nesting() -> None:
    """Nesting that no reader bears is the client's error."""
    found = Checks(CONFIG).body(COMPLETIONS, b'{"a":' + b"[" * 100_000)
    assert found
    assert "nested too deeply" in found.body["error"]["message"]


def test_modes() -> None:
    """A route of another mode is refused with the mode to ask for."""
    checks = Checks(CONFIG)
    assert checks.wrong_mode(COMPLETIONS) is None
    found = checks.wrong_mode(Inference("x", "/v1/x", Mode.EMBEDDING))
    assert found
    assert found.status == 400


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (b'{"error": {"message": "[json.exception.parse_error.101] bad"}}', True),
        (b'{"error": {"message": "Failed to parse tools: x"}}', True),
        (b'{"error": {"message": "out of memory"}}', False),
        (b'{"error": {"message": 5}}', False),
        (b'{"error": "x"}', False),
        (b"[]", False),
        (b"<html>", False),
    ],
)
def test_engine_refusals(answer: bytes, refused: bool) -> None:
    """Only a 500 that blames the request's form becomes a 400."""
    found = engine_refusal(answer)
    assert (found is not None) is refused
