"""Members of a request's body."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runnerd.ollama.members import (
    AskedWronglyError,
    decoded,
    flag,
    nested,
    objects,
    text,
    texts,
    whole,
)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "missing request body"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"[]", "a JSON object"),
    ],
    ids=range(7),
)
def test_bodies(raw: bytes, words: str) -> None:
    """What is no object is told, and is a 400."""
    with pytest.raises(AskedWronglyError, match=words) as raised:
        decoded(raw)
    assert raised.value.found.status == 400


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (text, "x", "x"),
        (text, None, ""),
        (texts, ["x"], ["x"]),
        (texts, None, []),
        (objects, [{}], [{}]),
        (nested, {"a": 1}, {"a": 1}),
        (nested, None, {}),
        (whole, 5.0, 5),
        (whole, 7, 7),
        (whole, None, None),
    ],
)
def test_values(read: Any, value: Any, expected: Any) -> None:
    """A member of the right type is taken as it is; null is as if it were absent."""
    assert read({"a": value}, "a") == expected
    assert read({}, "a") == read({"a": None}, "a")


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (text, 1),
        (texts, "x"),
        (texts, [1]),
        (objects, {}),
        (objects, ["x"]),
        (nested, []),
        (whole, "5"),
        (whole, True),
        (whole, 5.5),
    ],
)
def test_wrong_types(read: Any, value: Any) -> None:
    """The member at fault is named."""
    with pytest.raises(AskedWronglyError, match="'a'") as raised:
        read({"a": value}, "a")
    assert raised.value.found.param == "a"


def test_flags() -> None:
    """True and false are none but these."""
    assert flag({}, "a", default=True)
    assert not flag({"a": False}, "a", default=True)
    with pytest.raises(AskedWronglyError, match="true or false"):
        flag({"a": 0}, "a", default=True)


@given(st.binary(max_size=60))
def test_any_bytes(raw: bytes) -> None:
    """Whatever comes, it is an object or an error of the client."""
    with contextlib.suppress(AskedWronglyError):
        assert isinstance(decoded(raw), dict)
