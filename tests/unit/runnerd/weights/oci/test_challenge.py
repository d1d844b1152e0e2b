"""WWW-Authenticate headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runnerd.weights.oci.challenge import Challenge, parse_challenges

KNOWN: list[tuple[list[str], list[Challenge]]] = [
    ([], []),
    (["Basic"], [Challenge("basic", {})]),
    (['Basic realm="x"'], [Challenge("basic", {"realm": "x"})]),
    (
        ['Bearer realm="https://h/token",service="r",scope="repository:a/b:pull,push"'],
        [
            Challenge(
                "bearer",
                {"realm": "https://h/token", "service": "r", "scope": "repository:a/b:pull,push"},
            )
        ],
    ),
    (
        ['bearer Realm = token , Service="a \\"b\\"", Basic realm="c"'],
        [
            Challenge("bearer", {"realm": "token", "service": 'a "b"'}),
            Challenge("basic", {"realm": "c"}),
        ],
    ),
    (
        ["Negotiate, Basic realm=x"],
        [Challenge("negotiate", {}), Challenge("basic", {"realm": "x"})],
    ),
    (["Basic", "Bearer realm=y"], [Challenge("basic", {}), Challenge("bearer", {"realm": "y"})]),
    (['Bearer realm="x'], [Challenge("bearer", {})]),
    (['"'], []),
]


@pytest.mark.parametrize(("headers", "expected"), KNOWN)
def test_challenges(headers: list[str], expected: list[Challenge]) -> None:
    """One or several challenges, in one header or several."""
    assert parse_challenges(headers) == expected


@given(st.text(max_size=300) | st.from_regex(r'[A-Za-z ,="\\]{0,200}', fullmatch=True))
def test_any_header_is_read(text: str) -> None:
    """No header is an error, and schemes come in lower case."""
    assert all(one.scheme == one.scheme.lower() for one in parse_challenges([text]))
