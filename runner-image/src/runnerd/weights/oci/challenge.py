"""The WWW-Authenticate header (RFC 9110, 11.6.1)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_LONGEST: Final = 8 * 1024
_WORD: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_SCHEME: Final = re.compile(rf"\s*,?\s*({_WORD})(?:\s+|$|(?=,))")
_PARAMETER: Final = re.compile(
    rf'\s*,?\s*({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))\s*(?=,|$)'
)
_ESCAPE: Final = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """How a server wants to be convinced: `scheme` in lower case, and its parameters."""

    scheme: str
    parameters: dict[str, str]


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """All challenges that can be read; what follows something unreadable is left out."""
    found = []
    for header in headers:
        text, position = header[:_LONGEST], 0
        while (scheme := _SCHEME.match(text, position)) is not None:
            position = scheme.end()
            parameters: dict[str, str] = {}
            while (pair := _PARAMETER.match(text, position)) is not None:
                quoted = _ESCAPE.sub(r"\1", pair[2]) if pair[2] is not None else pair[3]
                parameters.setdefault(pair[1].lower(), quoted)
                position = pair.end()
            found.append(Challenge(scheme[1].lower(), parameters))
    return found
