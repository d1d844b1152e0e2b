"""The member `keep_alive` of a body."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runnerd.server.dialects import Rejection
from runnerd.server.keep_alive import asked_keep_alive, without_keep_alive

DECODER = json.JSONDecoder()
SPACE = st.text(" \t\r\n", max_size=3)
NUMBER = st.sampled_from(
    ["0", "-0", "-0.0", "1E400", "1e-999", "0.1000", "12345678901234567890123", "-7", "1.5e+3"]
)
# Names that only look like it, and spellings of it that do not look like it.
NAME = st.sampled_from(
    [
        *('"keep_alive"', r'"keep\u005falive"', r'"\u006beep_alive"'),
        *('"keep_alive "', '"Keep_Alive"', '"keep-alive"', '""', '"a"', r'"\"keep_alive\":"'),
    ]
)
TEXT = st.sampled_from(
    [r'"\ud83d"', r'"\u00e9\/"', '"é🤖"', '"keep_alive"', '"{"', r'"}\\"', '","']
)


@st.composite
def _value(draw: st.DrawFn, depth: int = 2) -> str:
    """JSON text that is not how Python would write it."""
    kind = draw(st.integers(0, 3 if depth else 1))
    if kind == 0:
        return draw(NUMBER)
    if kind == 1:
        return draw(st.one_of(TEXT, st.sampled_from(["true", "false", "null"])))
    if kind == 2:
        items = draw(st.lists(_value(depth - 1), max_size=3))
        return "[" + ",".join(draw(SPACE) + item + draw(SPACE) for item in items) + "]"
    members = draw(st.lists(st.tuples(NAME, _value(depth - 1)), max_size=3))
    return "{" + ",".join(f"{name}{draw(SPACE)}:{value}" for name, value in members) + "}"


@given(st.data())
def test_the_rest_stays_to_the_letter(data: st.DataObject) -> None:
    """Every spelling of the member is gone, every other one is where and as it was."""
    members = data.draw(st.lists(st.tuples(NAME, _value()), max_size=5))
    gap = data.draw(SPACE)
    written = [f"{name}{gap}:{gap}{value}" for name, value in members]
    text = gap + "{" + ",".join(gap + member + gap for member in written) + gap + "}" + gap
    if not members:
        text = gap + "{" + gap + "}"
    assert isinstance(DECODER.decode(text), dict)
    kept = [
        member
        for (name, _), member in zip(members, written, strict=True)
        if json.loads(name) != "keep_alive"
    ]
    assert without_keep_alive(text, DECODER) == "{" + ",".join(kept) + "}"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("5m", 300), ("0", 0), ("-1", -1), (0.0, 0), (300.0, 300), (-5.0, -1), (7, 7)],
)
def test_asked(value: object, seconds: float | None) -> None:
    """A duration, a number of seconds, or nothing."""
    assert asked_keep_alive({"keep_alive": value}) == seconds
    assert asked_keep_alive({}) is None


@pytest.mark.parametrize(
    "value", ["", "300", "soon", "\ud83d", True, False, [], {}, ["5m"], float("inf"), "x" * 10_000]
)
def test_what_cannot_be_asked(value: object) -> None:
    """Anything else is a 400 with a sentence about this field."""
    found = asked_keep_alive({"keep_alive": value})
    assert isinstance(found, Rejection)
    assert (found.status, found.param) == (400, "keep_alive")
    assert "keep_alive" in found.message
    assert len(found.message) < 300
