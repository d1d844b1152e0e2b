"""The model that a body names."""

import json

import pytest

from runnerd.server.dialects import Rejection
from runnerd.server.naming import model_of, with_model


@pytest.mark.parametrize(
    ("raw", "older", "name"),
    [
        (b'{"model": "a"}', False, "a"),
        (b'{"model": "a", "name": "b"}', True, "a"),
        (b'{"name": "b"}', True, "b"),
        (b'{"name": "b"}', False, ""),
        (b'{"name": 5}', True, ""),
        (b'{"model": null}', False, ""),
        (b"{}", True, ""),
    ],
)
def test_model_of(raw: bytes, older: bool, name: str) -> None:
    """The member `model`, and Ollama's older word for it."""
    assert model_of(raw, older=older) == name


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{", b'{"model": 5}', b'{"model": NaN}', b"\xff", b"[" * 100_000]
)
def test_wrong_bodies(raw: bytes) -> None:
    """What is no object, or names the model otherwise than by a string, is a 400."""
    found = model_of(raw)
    assert isinstance(found, Rejection)
    assert found.status == 400


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b' { "seed" : 1 }\n',
        b'{"model": null, "seed": 1}',
        b'{"seed": 1, "model": "", "model": null}',
    ],
)
def test_with_model(raw: bytes) -> None:
    """The name is put in place of whatever was there."""
    wanted = {key: value for key, value in json.loads(raw).items() if key != "model"}
    assert json.loads(with_model(raw, 'x"y')) == wanted | {"model": 'x"y'}


def test_other_members_stay_to_the_letter() -> None:
    """Numbers that no float holds, or that Python would not read, are not written anew."""
    digits = b"1" * 5000
    assert with_model(b'{"n": ' + digits + b"}", "m") == b'{"model":"m","n": ' + digits + b"}"
