"""Sentences that hold what strangers wrote."""

import pytest

from runnerd.weights.failure import TransientError, WeightsError, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("models/smollm2 größer", "models/smollm2 größer"),
        ("a\nb\r\x1b[2J\x00", r"a\nb\r\x1b[2J\x00"),
        ("\u202egfedcba", r"\u202egfedcba"),
        ("\ud800", r"\ud800"),
    ],
)
def test_nothing_moves_a_cursor(text: str, shown: str) -> None:
    """Lines, escapes, turned writing and halves of characters are shown as what they are."""
    assert printable(text) == shown
    for kind in (WeightsError, TransientError):
        assert str(kind(text)) == shown
