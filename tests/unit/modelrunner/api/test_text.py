"""Numbers in words, as printer columns show them."""

import pytest

from modelrunner.api.text import format_progress, format_size


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (96573440, "92.1 MiB"),
        (1024**2 - 1, "1.0 MiB"),
        (5 * 1024**4, "5.0 TiB"),
        (2 * 1024**6, "2048.0 PiB"),
    ],
)
def test_sizes(size: float, words: str) -> None:
    """Binary units with one decimal, and never 1024.0 of one unit."""
    assert format_size(size) == words


def test_progress() -> None:
    """What is known is said, what is not is left out."""
    assert format_progress(43, 12687769.6, 80.4) == "43% 12.1 MiB/s ETA 1m20s"
    assert format_progress(None, None, None) == ""
    assert format_progress(100, None, 0) == "100% ETA 0s"
