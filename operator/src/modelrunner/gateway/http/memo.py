"""Recognising a head that was read before, whatever its Content-Length and X-Request-Id. Pure.

A connection mostly says the same again and again. What was judged once need not be parsed again:
llhttp and our own rules have accepted the rest of these bytes; only a number and a name of the
request have changed, and both are judged here as they are there.
"""

import re
from typing import Final

_VARIES: Final = re.compile(
    rb"\r\n(?i:(content-length)|x-request-id):[ \t]*([\x21-\x7e]{1,128})(?=\r\n)"
)
_IDENTITY: Final = re.compile(rb"[\x21-\x7e]{1,128}")
_DIGITS: Final = 18
_LONGEST: Final = 129
_SIZE: Final = 4096
"""Larger heads are not remembered."""


class Pattern:
    """The bytes of one head around what varies; `digits` and `identity` are the last matched."""

    __slots__ = ("_first", "_rest", "digits", "identity")

    def __init__(self, first: bytes, rest: tuple[tuple[bool, bytes], ...]) -> None:
        self._first = first
        self._rest = rest
        self.digits = b""
        self.identity = b""

    def match(self, data: bytes) -> int:
        """Where the head ends in data that begins with it, else 0."""
        first = self._first
        if not data.startswith(first):
            return 0
        at = len(first)
        for is_length, after in self._rest:
            end = data.find(b"\r", at, at + _LONGEST)
            value = data[at:end]
            if end < 0 or not data.startswith(after, end):
                return 0
            if is_length:
                if not value.isdigit() or len(value) > _DIGITS:
                    return 0
                self.digits = value
            elif _IDENTITY.fullmatch(value):
                self.identity = value
            else:
                return 0
            at = end + len(after)
        return at


def pattern_of(head: bytes, *, has_length: bool, has_id: bool) -> Pattern | None:
    """The pattern of a head that was accepted.

    `has_length`: it has one Content-Length; `has_id`: its X-Request-Id, if there is one, may vary.
    """
    if len(head) > _SIZE:
        return None
    found = list(_VARIES.finditer(head))
    lengths = [one for one in found if one[1]]
    if len(lengths) != has_length or not all(one[2].isdigit() for one in lengths):
        return None
    if not has_id or len(found) - len(lengths) > 1:
        found = lengths
    if not found:
        return Pattern(head, ())
    ends = [*(one.start(2) for one in found[1:]), len(head)]
    rest = [
        (one[1] is not None, head[one.end(2) : end]) for one, end in zip(found, ends, strict=True)
    ]
    return Pattern(head[: found[0].start(2)], tuple(rest))
