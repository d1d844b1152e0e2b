"""How much one request asks for."""

from runnerd.weights.partial import PIECE
from runnerd.weights.parts import pieces_worth_asking

MIB = 1024 * 1024


def test_quick_answers_make_short_parts() -> None:
    """On a network where asking costs nothing, connections stay together."""
    assert pieces_worth_asking(waited=0.001, took=0.05, came=PIECE) == 1


def test_slow_answers_make_long_parts() -> None:
    """150 ms for an answer, then 50 MiB a second: it goes on for at least 20 times as long."""
    pieces = pieces_worth_asking(waited=0.15, took=1.0, came=50 * MIB)
    assert 3.0 <= pieces * PIECE / (50 * MIB) < 4.0


def test_a_body_that_was_there_at_once() -> None:
    """No time at all is no division by nothing."""
    assert pieces_worth_asking(waited=0.0, took=0.0, came=PIECE) == 1
