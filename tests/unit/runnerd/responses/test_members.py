"""Members of a body, with their types and names."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runnerd.responses.members import AskedWronglyError, Members, decoded

Read = Callable[[Members], object]


@pytest.mark.parametrize(
    ("read", "data", "value"),
    [
        (lambda found: found.text("x"), {"x": "a"}, "a"),
        (lambda found: found.text("x"), {"x": None}, None),
        (lambda found: found.wanted("x"), {"x": "a"}, "a"),
        (lambda found: found.one_of("x", ("a", "b")), {"x": "b"}, "b"),
        (lambda found: found.one_of("x", ("a", "b")), {}, None),
        (lambda found: found.flag("x"), {"x": False}, False),
        (lambda found: found.number("x", 0, 2), {"x": 2}, 2),
        (lambda found: found.number("x", 0, 2), {"x": 0.5}, 0.5),
        (lambda found: found.whole("x", 1), {"x": 5.0}, 5),
        (lambda found: found.whole("x", 1), {"x": 7}, 7),
        (lambda found: found.nested("x"), {}, None),
        (lambda found: found.objects("x"), {}, []),
        (lambda found: found.objects("x")[1].param("y"), {"x": [{}, {}]}, "text.x[1].y"),
        (lambda found: found.nested("x").param("y"), {"x": {}}, "text.x.y"),
    ],
    ids=range(14),
)
def test_what_is_there(read: Read, data: dict[str, Any], value: object) -> None:
    """Its value; null is as if it were not there."""
    assert read(Members(data, "text.")) == value


@pytest.mark.parametrize(
    ("read", "value", "param", "code"),
    [
        (lambda found: found.text("x"), 5, "text.x", "invalid_type"),
        (lambda found: found.wanted("x"), None, "text.x", "missing_required_parameter"),
        (lambda found: found.wanted("x"), "", "text.x", "missing_required_parameter"),
        (lambda found: found.one_of("x", ("a",)), "b", "text.x", "invalid_value"),
        (lambda found: found.flag("x"), 1, "text.x", "invalid_type"),
        (lambda found: found.number("x", 0, 2), "1", "text.x", "invalid_type"),
        (lambda found: found.number("x", 0, 2), True, "text.x", "invalid_type"),
        (lambda found: found.number("x", 0, 2), 2.1, "text.x", "invalid_value"),
        (lambda found: found.whole("x", 1), 1.5, "text.x", "invalid_type"),
        (lambda found: found.whole("x", 1), 0, "text.x", "invalid_value"),
        (lambda found: found.whole("x", 1), 10**400, "text.x", "invalid_value"),
        (lambda found: found.nested("x"), [], "text.x", "invalid_type"),
        (lambda found: found.objects("x"), {}, "text.x", "invalid_type"),
        (lambda found: found.objects("x"), [{}, 5], "text.x[1]", "invalid_type"),
    ],
    ids=range(14),
)
def test_what_is_wrong(read: Read, value: object, param: str, code: str) -> None:
    """A 400 that names the member in full."""
    with pytest.raises(AskedWronglyError) as raised:
        read(Members({"x": value}, "text."))
    found = raised.value.found
    assert (found.status, found.param, found.code) == (400, param, code)
    assert param in found.message


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"5",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b"\xff\xfe{\x00}\x00",
        b'{"a": ' + b"[" * 200_000,
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
    ids=range(9),
)
def test_no_objects(raw: bytes) -> None:
    """Whatever is no JSON object that can be written again is a 400."""
    with pytest.raises(AskedWronglyError) as raised:
        decoded(raw)
    assert raised.value.found.status == 400


@given(st.binary(max_size=30))
def test_any_bytes(raw: bytes) -> None:
    """They are an object or a 400."""
    try:
        assert isinstance(decoded(raw), dict)
    except AskedWronglyError as error:
        assert error.found.status == 400  # noqa: PT017  # either is right
