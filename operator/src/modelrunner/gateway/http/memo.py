"""Recognising a head that was read before, whatever the number in its Content-Length. Pure.

A connection mostly says the same again and again. What was judged once need not be parsed again:
llhttp and our own rules have accepted the rest of these bytes, and only a number has changed.
"""

import re
from typing import Final

_LENGTH: Final = re.compile(rb"\r\n(?i:content-length):[ \t]*([0-9]+)[ \t]*\r\n")
_DIGITS: Final = 18
_SIZE: Final = 4096
"""Larger heads are not remembered."""


class Pattern:
    """The bytes of one head before and after that number; `digits` is the last one matched."""

    __slots__ = ("_after", "_before", "digits")

    def __init__(self, before: bytes, after: bytes) -> None:
        self._before = before
        self._after = after
        self.digits = b""

    def match(self, data: bytes) -> int:
        """Where the head ends in data that begins with it, else 0."""
        before = self._before
        if not data.startswith(before):
            return 0
        start = len(before)
        after = self._after
        if not after:
            return start
        end = data.find(b"\r", start, start + _DIGITS + 1)
        digits = data[start:end]
        if end < 0 or not digits.isdigit() or not data.startswith(after, end):
            return 0
        self.digits = digits
        return end + len(after)


def pattern_of(head: bytes, *, has_length: bool) -> Pattern | None:
    """The pattern of a head that was accepted; `has_length`: it has one Content-Length."""
    if len(head) > _SIZE:
        return None
    if not has_length:
        return Pattern(head, b"")
    found = _LENGTH.search(head)
    if found is None or head[found.end(1)] != 0x0D:
        return None
    return Pattern(head[: found.start(1)], head[found.end(1) :])
