"""Kubernetes quantities."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner.domain.quantities import parse_quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("100m", Decimal("0.1")),
        ("1.5G", 1_500_000_000),
        ("512Mi", 512 * 2**20),
        (".5Ki", 512),
        ("1e3", 1000),
        ("1E3", 1000),
        ("1E", 10**18),
        ("2Ti", 2 * 2**40),
        ("-1", -1),
    ],
)
def test_values(text: str, value: Decimal | int) -> None:
    """Suffixes, exponents and signs are read as Kubernetes reads them."""
    assert parse_quantity(text) == value


@pytest.mark.parametrize("text", ["", "Mi", "1MiB", "1 Gi", "1ee3", "NaN", "0x10", "1" * 200])
def test_no_quantities(text: str) -> None:
    """What is none is refused with an example of one."""
    with pytest.raises(ValueError, match="500Mi"):
        parse_quantity(text)


@given(st.text(max_size=80))
def test_any_text_is_a_number_or_a_value_error(text: str) -> None:
    """No other exception comes out, whatever the text."""
    try:
        parse_quantity(text)
    except ValueError:
        return
