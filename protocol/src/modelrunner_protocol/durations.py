"""Go durations ("1h30m", "500ms") and the keep_alive words built on them.

Sources: Go's `time.ParseDuration`; docker/model-runner `pkg/inference/backend.go`
(`ParseKeepAlive`, table in `backend_test.go`).
"""

import re
from decimal import Decimal
from typing import Final

NEVER: Final = -1.0
"""keep_alive value that stands for "never unload"."""

DURATION_PATTERN: Final = r"^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$"
"""A positive Go duration, for JSON schemas."""

KEEP_ALIVE_PATTERN: Final = r"^(0|-1|-?([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)$"
"""What a keepAlive field may hold, for JSON schemas."""

_UNIT_SECONDS: Final = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),
    "μs": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}
_TERM: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_LONGEST_TEXT: Final = 64
_LONGEST: Final = float(2**63) / 1e9
"""Seconds: Go counts nanoseconds in 64 bits, 292 years."""


def parse_duration(text: str) -> float:
    """Seconds of a Go duration such as "5m" or "-1h30m"; a bare "0" is zero.

    Raises:
        ValueError: the text is not a Go duration; the message says what one looks like.
    """
    body = text[1:] if text[:1] in {"-", "+"} else text
    sign = -1 if text.startswith("-") else 1
    if body == "0":
        return 0.0
    seconds, position = Decimal(0), 0
    # The bound keeps a megabyte of digits from becoming a megabyte of arithmetic.
    while position < len(body) <= _LONGEST_TEXT:
        term = _TERM.match(body, position)
        if term is None:
            break
        seconds += Decimal(term[1]) * _UNIT_SECONDS[term[2]]
        position = term.end()
    if not body or position != len(body):
        raise ValueError(
            f'{text[:_LONGEST_TEXT]!r} is not a duration: use for example "30s", "5m" or "1h30m"'
        )
    if seconds >= _LONGEST:
        raise ValueError(f"{text!r} is not a duration: it is longer than 292 years")
    return sign * float(seconds)


def format_duration(seconds: float) -> str:
    """A Go duration as Go prints it: 300 → "5m0s", 0.25 → "250ms", 0 → "0s"."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if seconds == 0:
        return "0s"
    if seconds < 1:
        for unit, size in (("ms", 1e3), ("µs", 1e6), ("ns", 1e9)):
            if seconds * size >= 1:
                return f"{_number(seconds * size)}{unit}"
        return "0s"
    hours, rest = divmod(seconds, 3600)
    minutes, remainder = divmod(rest, 60)
    text = f"{_number(remainder)}s"
    if hours or minutes:
        text = f"{int(minutes)}m{text}"
    return f"{int(hours)}h{text}" if hours else text


def parse_keep_alive(value: str | float) -> float:
    """Seconds that an idle model stays loaded: 0 unloads at once, `NEVER` (-1) never.

    A number is seconds, as Ollama has it.

    Raises:
        ValueError: neither "0", a negative value, a Go duration nor a number.
    """
    if value == "-1":
        return NEVER
    try:
        seconds = parse_duration(value) if isinstance(value, str) else _in_range(value)
    except ValueError as error:
        raise ValueError(
            f'{str(value)[:_LONGEST_TEXT]!r} is not a keep-alive: use a duration ("30s", "5m", '
            '"1h30m"), "0" to unload as soon as idle, or "-1" to keep the model loaded'
        ) from error
    return NEVER if seconds < 0 else seconds


def format_keep_alive(seconds: float) -> str:
    """The word for a keep_alive value: "-1" for never, else a Go duration."""
    return "-1" if seconds < 0 else format_duration(seconds)


def _number(value: float) -> str:
    return f"{value:.9f}".rstrip("0").rstrip(".")


def _in_range(seconds: float) -> float:
    if not seconds < _LONGEST:
        raise ValueError(f"{seconds} s is longer than 292 years, or no number")
    return float(seconds)
