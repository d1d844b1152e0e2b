"""IDs of responses, which tell the runner that keeps them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner_protocol.response_ids import MARK, mark, mark_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("10.0.0.1", "::ffff:10.0.0.1"),
        ("fd00::1", "fd00:0:0:0:0:0:0:1"),
        ("fe80::1%eth0", "FE80::1"),
        ("a.example", "a.example"),
    ],
)
def test_spellings(one: str, other: str) -> None:
    """One address, one mark."""
    assert mark(one, 8080) == mark(other, 8080)
    assert mark(one, 8080) != mark(one, 8081)


@given(st.ip_addresses(), st.integers(0, 65535), st.binary(min_size=12, max_size=12))
def test_there_and_back(address: object, port: int, rest: bytes) -> None:
    """The mark of an ID is that of its runner."""
    found = mark(str(address), port)
    assert len(found) == MARK
    assert mark_of(f"resp_{found}{rest.hex()}") == found
    assert mark_of(f"msg_{found}{rest.hex()}") == found


@pytest.mark.parametrize(
    "identity",
    ["", "resp_", "resp_x", "resp_" + "a" * 31, "resp_" + "a" * 33, "resp_" + "A" * 32, "a" * 32],
)
def test_what_is_not_ours(identity: str) -> None:
    """It has no mark."""
    assert mark_of(identity) is None
