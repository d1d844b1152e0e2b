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


@pytest.mark.parametrize("value", ["1", '"true"', "[]", "{}", "0"])
def test_stream_of_a_wrong_type(value: str) -> None:
    """`stream` decides how the answer looks, so nobody may guess what it means."""
    found = Checks(CONFIG).body(COMPLETIONS, f'{{"stream": {value}}}'.encode())
    assert found
    assert (found.status, found.body["error"]["param"]) == (400, "stream")


@pytest.mark.parametrize("value", ["true", "false", "null"])
def test_stream(value: str) -> None:
    """A truth or nothing is a good `stream`."""
    assert Checks(CONFIG).body(COMPLETIONS, f'{{"stream": {value}}}'.encode()) is None


@pytest.mark.parametrize("number", ["9" * 100_000, "-1e999", "1e5", "-0"])
def test_numbers_are_for_the_engine(number: str) -> None:
    """However long a number is, it is JSON."""
    assert Checks(CONFIG).body(COMPLETIONS, f'{{"seed": {number}}}'.encode()) is None


@pytest.mark.parametrize(
    "body",
    [
        b'\xef\xbb\xbf{"prompt": "x"}',
        b'{"prompt": "x"} tail',
        b'{"prompt": "x"}{}',
        b"{'prompt': 1}",
        b'{"prompt": "a\nb"}',
        b'{"prompt": Infinity}',
        b'{"prompt": 01}',
        b'{"prompt": "x",}',
        b"{1: 2}",
    ],
)
def test_almost_json(body: bytes) -> None:
    """What is nearly JSON is told to be none, with the place where it can be told."""
    found = Checks(CONFIG).body(COMPLETIONS, body)
    assert found
    assert found.status == 400
    assert "not JSON" in found.body["error"]["message"]


def test_duplicate_keys() -> None:
    """Of equal keys the last counts, as it does in the engine."""
    checks = Checks(CONFIG)
    assert checks.body(COMPLETIONS, b'{"model": "other", "model": "smol"}') is None
    assert checks.body(COMPLETIONS, b'{"model": "smol", "model": "other"}')


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
        (b'{"error": {"message": "\\"prompt\\" must not be empty"}}', True),
        (b'{"error": {"message": "Unknown reasoning format: zz"}}', True),
        (b'{"error": {"message": "image input is not supported - hint: mmproj"}}', True),
        (b'{"error": {"message": "input (2001 tokens) is too large to process."}}', True),
        (b'{"error": {"message": "the prompt was lost"}}', False),
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
