"""Numbers of several rounds."""

import pytest

from tests.perf.figures import Spread, quantile, ratios, table


def test_a_spread_tells_median_least_and_most() -> None:
    """One wild round moves the ends, not the middle."""
    assert Spread.of([3.0, 100.0, 1.0]).text(1) == "3.0 [1.0-100.0]"
    assert Spread.of([1234.04, 1234.0]).text(1) == "1,234.0"


def test_ratios_are_taken_round_by_round() -> None:
    """A round in which the whole machine was half as fast says the same as the others."""
    assert ratios([10.0, 20.0, 10.0], [5.0, 10.0, 5.0]) == Spread(2.0, 2.0, 2.0)


def test_sides_of_different_rounds_are_not_compared() -> None:
    """A missing measurement would shift all that follow."""
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


def test_quantiles_are_values_that_were_measured() -> None:
    """Nearest rank, also at the ends."""
    values = [float(number) for number in range(1, 21)]
    assert (quantile(values, 0.5), quantile(values, 0.95)) == (11.0, 20.0)
    assert quantile([7.0], 0.99) == 7.0


def test_columns_of_a_table_line_up() -> None:
    """Names to the left, numbers to the right, nothing behind the last."""
    assert table([("side", "µs"), ("a", "1,000")]) == "  side     µs\n  a     1,000"
