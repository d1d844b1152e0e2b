"""What is wrong with a request, without a server."""

from dataclasses import replace

import pytest

from modelrunner_protocol.wire import Mode, RunConfig
from runnerd.server.checks import Accepted, Checks
from runnerd.server.dialects import Rejection
from runnerd.server.routes import Inference, inference_routes
from tests.support.scripted_runner import CONFIG

ROUTES = inference_routes("llama.cpp")
COMPLETIONS = ROUTES["/v1/completions"]


def _refused(body: bytes, *, config: RunConfig = CONFIG) -> Rejection:
    found = Checks(config).body(COMPLETIONS, body)
    assert isinstance(found, Rejection)
    return found


def _passes(body: bytes) -> bool:
    """Whether the engine sees exactly this."""
    found = Checks(CONFIG).body(COMPLETIONS, body)
    return isinstance(found, Accepted) and (found.body, found.keep_alive) == (body, None)


@pytest.mark.parametrize(
    "name",
    [
        *("smol", "ml/smol", "gpt-x"),
        *("SMOL", "smol:latest", "ai/smol", "docker.io/ai/smol:latest", "ai%2Fgpt-x", " smol"),
    ],
)
def test_names(name: str) -> None:
    """The name, namespace/name and the aliases are this model, in any spelling of a reference."""
    assert Checks(CONFIG).knows(name)
    assert _passes(f'{{"model": "{name}"}}'.encode())


def test_the_name_is_kept_as_it_was_written() -> None:
    """The answer calls the model so; no name is "", which asks for nothing."""
    checks = Checks(CONFIG)
    for body, name in ((b'{"model": "ai/smol"}', "ai/smol"), (b'{"model": null}', ""), (b"{}", "")):
        found = checks.body(COMPLETIONS, body)
        assert isinstance(found, Accepted)
        assert found.asked == name


def test_a_name_that_a_gateway_has_resolved() -> None:
    """A new alias is this model's before this runner knows it, if the gateway means this model."""
    checks = Checks(CONFIG)
    assert checks.is_meant({"X-Model-Resolved": "ml/smol"})
    assert not checks.is_meant({"X-Model-Resolved": "ml/other"})
    assert not checks.is_meant({})
    found = checks.body(COMPLETIONS, b'{"model": "new"}', meant=True)
    assert isinstance(found, Accepted)
    assert found.asked == "new"


@pytest.mark.parametrize("body", [b'{"model": null}', b'{"prompt": "x"}'])
def test_no_name(body: bytes) -> None:
    """A missing name is this model, too: there is no other."""
    assert _passes(body)


@pytest.mark.parametrize(
    "name", ["", "other/smol", "ML/smol", "smol:v2", "ai/ml/smol", "smol/", "?", "s" * 600]
)
def test_other_names(name: str) -> None:
    """Any other name is a 404 with OpenAI's code."""
    found = _refused(f'{{"model": "{name}"}}'.encode())
    assert (found.status, found.code) == (404, "model_not_found")


def test_alias_that_is_no_reference() -> None:
    """Text that is no reference names only itself, not all other such text."""
    checks = Checks(replace(CONFIG, aliases=("a b",)))
    assert checks.knows("a b")
    assert not checks.knows("c d")


def test_deep_nesting() -> None:
    """Nesting that no reader bears is the client's error."""
    assert "nested too deeply" in _refused(b'{"a":' + b"[" * 100_000).message


@pytest.mark.parametrize("value", ["1", '"true"', "[]", "{}", "0"])
def test_stream_of_a_wrong_type(value: str) -> None:
    """`stream` decides how the answer looks, so nobody may guess what it means."""
    found = _refused(f'{{"stream": {value}}}'.encode())
    assert (found.status, found.param) == (400, "stream")


@pytest.mark.parametrize("value", ["true", "false", "null"])
def test_stream(value: str) -> None:
    """A truth or nothing is a good `stream`."""
    assert _passes(f'{{"stream": {value}}}'.encode())


@pytest.mark.parametrize("number", ["9" * 100_000, "-1e999", "1e5", "-0"])
def test_numbers_are_for_the_engine(number: str) -> None:
    """However long a number is, it is JSON."""
    assert _passes(f'{{"seed": {number}}}'.encode())


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
    found = _refused(body)
    assert found.status == 400
    assert "not JSON" in found.message


def test_duplicate_keys() -> None:
    """Of equal keys the last counts, as it does in the engine."""
    assert _passes(b'{"model": "other", "model": "smol"}')
    assert _refused(b'{"model": "smol", "model": "other"}').status == 404


def test_modes() -> None:
    """A route of another mode is refused with the mode to ask for."""
    checks = Checks(CONFIG)
    assert checks.wrong_mode(COMPLETIONS) is None
    assert checks.wrong_mode(Inference("x", "/v1/x", None)) is None
    found = checks.wrong_mode(Inference("x", "/v1/x", Mode.EMBEDDING))
    assert found
    assert found.status == 400


def test_keep_alive_is_taken_out() -> None:
    """The engine sees the other members to the letter; what was asked for is kept."""
    body = b' {"model": "smol" , "keep_alive" : 5, "seed": 123456789012345678901234567890.10}\n'
    assert Checks(CONFIG).body(COMPLETIONS, body) == Accepted(
        b'{"model": "smol","seed": 123456789012345678901234567890.10}', 5.0, "smol"
    )
    assert Checks(CONFIG).body(COMPLETIONS, b'{"keep_alive": null}') == Accepted(b"{}")


def test_keep_alive_of_a_request_that_is_wrong() -> None:
    """Only a request that the engine may see changes anything."""
    assert _refused(b'{"model": "other", "keep_alive": 5}').code == "model_not_found"
    assert _refused(b'{"keep_alive": "soon"}').param == "keep_alive"
