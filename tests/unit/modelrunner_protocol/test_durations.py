"""Go durations and keep_alive words."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner_protocol.durations import (
    DURATION_PATTERN,
    KEEP_ALIVE_PATTERN,
    NEVER,
    format_duration,
    format_keep_alive,
    parse_duration,
    parse_keep_alive,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("+0", 0),
        ("-0", 0),
        ("0s", 0),
        ("5s", 5),
        ("30s", 30),
        ("1478s", 1478),
        ("-5s", -5),
        ("+5s", 5),
        ("5.0s", 5),
        ("5.6s", 5.6),
        ("5.s", 5),
        (".5s", 0.5),
        ("1.0040s", 1.004),
        ("10ns", 1e-8),
        ("11us", 1.1e-5),
        ("12µs", 1.2e-5),  # U+00B5
        ("12μs", 1.2e-5),  # U+03BC
        ("13ms", 0.013),
        ("15m", 900),
        ("16h", 57600),
        ("3h30m", 12600),
        ("10.5s4m", 250.5),
        ("-2m3.4s", -123.4),
        ("1h2m3s4ms5us6ns", 3723.004005006),
        ("39h9m14.425s", 140954.425),
        ("24h", 86400),
    ],
)
def test_durations_of_go(text: str, seconds: float) -> None:
    """The table of Go's `TestParseDuration`, as far as it is not about int64."""
    assert parse_duration(text) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        *("", "3", "-", "s", ".", "-.", ".s", "+.s", "1d", "5 m", " 5m", "5m ", "5M", "--5m"),
        *("1e3s", "300", "abc", "٣s", "5m\n", "1_0s", "0x1s", "infs", "nans", "9" * 100 + "h"),
    ],
)
def test_what_is_no_duration(text: str) -> None:
    """Anything else is an error that shows what a duration looks like."""
    with pytest.raises(ValueError, match=r'is not a duration: use for example "30s"'):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (1e-9, "1ns"),
        (1.1e-6, "1.1µs"),
        (2.2e-3, "2.2ms"),
        (0.25, "250ms"),
        (3.3, "3.3s"),
        (60, "1m0s"),
        (245, "4m5s"),
        (300, "5m0s"),
        (5405.001, "1h30m5.001s"),
        (86400, "24h0m0s"),
        (-90, "-1m30s"),
        (1e-12, "0s"),
    ],
)
def test_durations_are_written_as_go_does(seconds: float, text: str) -> None:
    """Clients compare these texts with those of Go's `Duration.String`."""
    assert format_duration(seconds) == text


@given(st.integers(0, 10**10))
def test_whole_milliseconds_survive(milliseconds: int) -> None:
    """What is written is read back as the same time."""
    text = format_duration(milliseconds / 1000)
    assert parse_duration(text) == pytest.approx(milliseconds / 1000, rel=1e-9)
    assert milliseconds == 0 or re.fullmatch(DURATION_PATTERN, text)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """A field of a request can hold anything."""
    for parse in (parse_duration, parse_keep_alive):
        try:
            parse(text)
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("text", "seconds", "written"),
    [
        ("0", 0, "0s"),
        ("0s", 0, "0s"),
        ("0m", 0, "0s"),
        ("-1", NEVER, "-1"),
        ("-1m", NEVER, "-1"),
        ("-1h30m", NEVER, "-1"),
        ("30s", 30, "30s"),
        ("5m", 300, "5m0s"),
        ("1h", 3600, "1h0m0s"),
        ("1h30m", 5400, "1h30m0s"),
        ("24h", 86400, "24h0m0s"),
    ],
)
def test_keep_alive(text: str, seconds: float, written: str) -> None:
    """The golden table of docker/model-runner `TestParseKeepAlive`, and its way to write them."""
    assert parse_keep_alive(text) == seconds
    assert format_keep_alive(seconds) == written
    assert re.fullmatch(KEEP_ALIVE_PATTERN, text)


@pytest.mark.parametrize(
    ("number", "seconds"), [(0, 0), (-0.0, 0), (300, 300), (0.5, 0.5), (-1, NEVER), (-0.001, NEVER)]
)
def test_keep_alive_in_numbers(number: float, seconds: float) -> None:
    """Ollama's clients send numbers: seconds, negative for ever (`OllamaKeepAlive`)."""
    assert parse_keep_alive(number) == seconds


@pytest.mark.parametrize("value", [1e400, float("nan"), 1e10, "9999999999s", "2562048h"])
def test_keep_alive_beyond_all_clocks(value: str | float) -> None:
    """What Go's clock cannot count is refused: it would not be JSON, or no date."""
    with pytest.raises(ValueError, match="is not a keep-alive"):
        parse_keep_alive(value)
    assert parse_keep_alive("2562047h") == 2562047 * 3600


@pytest.mark.parametrize("text", ["", "abc", "300", "-2", "5 minutes", "never"])
def test_what_is_no_keep_alive(text: str) -> None:
    """Everything else is refused, and the message lists the three forms."""
    with pytest.raises(ValueError, match="is not a keep-alive") as failure:
        parse_keep_alive(text)
    assert '"0" to unload as soon as idle' in str(failure.value)
    assert not re.fullmatch(KEEP_ALIVE_PATTERN, text)


def test_long_nonsense_is_cut_in_the_message() -> None:
    """A megabyte in a field does not become a megabyte in a log."""
    with pytest.raises(ValueError, match="is not a keep-alive") as failure:
        parse_keep_alive("x" * 1_000_000)
    assert len(str(failure.value)) < 300
