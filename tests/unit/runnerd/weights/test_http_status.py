"""What HTTP answers mean."""

from datetime import UTC, datetime

import pytest

from runnerd.weights.failure import TransientError, WeightsError
from runnerd.weights.http_status import content_range, refusal, retry_after


@pytest.mark.parametrize("status", [401, 403, 404, 410, 400, 304, 204])
def test_final_answers(status: int) -> None:
    """What only a change of the spec mends is not tried again, and says so."""
    error = refusal("http://x/y", status, {})
    assert isinstance(error, WeightsError)
    assert not error.retryable
    assert f"the server answered {status}: " in str(error)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_answers_that_may_pass(status: int) -> None:
    """Overload and gateway errors are tried again after the time the server asks for."""
    error = refusal("http://x/y", status, {"Retry-After": "12"})
    assert isinstance(error, TransientError)
    assert error.retry_after == 12


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("0", 0),
        (" 120 ", 120),
        ("9" * 400, 999_999_999),
        ("Wed, 21 Oct 2015 07:28:30 GMT", 30),
        ("Wed, 21 Oct 2015 07:28:30", 30),
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    """Both forms of the header are read; nonsense is as if it were not there."""
    assert retry_after(value, datetime(2015, 10, 21, 7, 28, tzinfo=UTC)) == seconds


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes 5-9/10", (5, 10)),
        ("Bytes 0-0/1", (0, 1)),
        ("bytes 5-9/*", (5, None)),
        ("bytes */10", (None, 10)),
        ("lines 5-9/10", (None, None)),
        ("bytes x-y/z", (None, None)),
        ("bytes ²-3/4", (None, 4)),
        (None, (None, None)),
        ("", (None, None)),
    ],
)
def test_content_range(value: str | None, expected: tuple[int | None, int | None]) -> None:
    """Only numbers are taken from the header."""
    assert content_range(value) == expected
