"""Patterns over namespace/name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner.gateway.auth.globs import Globs

_NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)


@pytest.mark.parametrize(
    ("globs", "allowed", "refused"),
    [
        ("*", ["a/b", "team-a/x"], []),
        ("team-a/*", ["team-a/x", "team-a/x.y"], ["team-ab/x", "team-b/x", "a/team-a"]),
        ("*/smollm2", ["a/smollm2"], ["a/smollm23", "smollm2/a"]),
        ("team-?/x*", ["team-a/x", "team-b/xyz"], ["team-ab/x", "team-a/yx"]),
        ("a/b, c/d\ne/f", ["a/b", "c/d", "e/f"], ["a/d", "c/b"]),
        ("a.b/c.d", ["a.b/c.d"], ["aXb/c.d", "a.b/cxd"]),
        ("a/b *", ["z/z"], []),
    ],
)
def test_what_they_allow(globs: str, allowed: list[str], refused: list[str]) -> None:
    """A wildcard stays on its side of the slash, and a dot is a dot; asked twice, the same."""
    found = Globs.parse(globs)
    for _ in range(2):
        assert [one for one in allowed if not found.allow(*one.split("/"))] == []
        assert [one for one in refused if found.allow(*one.split("/"))] == []


@pytest.mark.parametrize(
    "globs", ["", " , ", "smollm2", "team-*", "a/b/c", "/b", "a/", "[a-z]/b", "a/b|c", "A/b", "**"]
)
def test_what_is_not_one(globs: str) -> None:
    """What could be meant in two ways, or is a regular expression, is refused."""
    with pytest.raises(ValueError, match="pattern"):
        Globs.parse(globs)


def test_the_normal_form_is_read_as_the_same() -> None:
    """It travels in a header, so it holds no line ends."""
    found = Globs.parse(" a/*,\n b/?  c/d ")
    assert found.text == "a/* b/? c/d"
    assert Globs.parse(found.text).text == found.text


@given(st.lists(st.tuples(_NAMES, _NAMES), min_size=1, max_size=4), _NAMES, _NAMES)
def test_plain_names_allow_themselves_alone(
    models: list[tuple[str, str]], namespace: str, name: str
) -> None:
    """Without wildcards a pattern is the one Model it names."""
    found = Globs.parse(",".join("/".join(one) for one in models))
    assert all(found.allow(*one) for one in models)
    assert found.allow(namespace, name) == ((namespace, name) in models)


def test_what_is_remembered_is_bounded() -> None:
    """A client that asks for ever new models costs no memory."""
    found = Globs.parse("a/*")
    for number in range(5000):
        assert not found.allow("b", str(number))
    assert len(found._memo) <= 4096
