"""Which web pages may call a server: the header `Origin` of a request against a list. Pure.

Sources: docker/model-runner `pkg/middleware/cors.go`, `pkg/envconfig/envconfig.go`; Fetch standard,
"CORS protocol". Docker Model Runner lists `http://localhost:*` and compares it letter by letter,
so that it never matches, and knows `*` only as the sole entry; here both mean what they say.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

LOCAL: Final = tuple(
    f"{scheme}://{host}{port}"
    for host in ("localhost", "127.0.0.1", "0.0.0.0", "[::1]")  # noqa: S104  # nothing is bound
    for scheme in ("http", "https")
    for port in ("", ":*")
)
"""Pages that this machine serves, at any port."""

METHODS: Final = "GET, POST, DELETE"
"""What a page may ask with."""

_EVERYBODY: Final = "*"
_LONGEST: Final = 512
_ENTRY: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>\*|\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::(?P<port>\*|[0-9]{1,5}))?"
)
_PORT: Final = re.compile(r":[0-9]{1,5}$")
_HEADER_NAMES: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+(?:, ?[A-Za-z0-9!#$%&'*+.^_`|~-]+)*")
_MOST_HEADER_TEXT: Final = 4096
_REMEMBERED: Final = "600"


@dataclass(frozen=True, slots=True)
class Origins:
    """A list of origins, read by `parse_origins`.

    Attributes:
        everybody: Every origin is allowed.
        exact: Whole origins, lower-case.
        any_port: Those allowed with every port: scheme and host.
        any_host: Those allowed with every host: the scheme and "://".
    """

    everybody: bool = False
    exact: frozenset[str] = frozenset()
    any_port: frozenset[str] = frozenset()
    any_host: frozenset[str] = frozenset()

    def allows(self, origin: str) -> bool:
        """Whether a page of `origin`, the header's value, may call; "null" only if listed."""
        if len(origin) > _LONGEST:
            return False
        if self.everybody:
            return True
        told = origin.lower()
        if told in self.exact:
            return True
        scheme, mark, _ = told.partition("://")
        return _PORT.sub("", told) in self.any_port or scheme + mark in self.any_host


def parse_origins(entries: Iterable[str]) -> Origins:
    """The list that `entries` make; empty ones mean nothing.

    An entry is an origin (`https://chat.example.com`, `http://localhost:3000`), one with any port
    (`http://localhost:*`), a scheme with any host (`vscode-webview://*`), `null`, or `*` for all.

    Raises:
        ValueError: one is none of these; the message says which.
    """
    everybody, exact, any_port, any_host = False, set(), set(), set()
    for entry in entries:
        text = entry.strip().lower()
        found = _ENTRY.fullmatch(text)
        if text == _EVERYBODY:
            everybody = True
        elif text == "null":
            exact.add(text)
        elif text and (found is None or (found["host"] == "*" and found["port"])):
            raise ValueError(
                f"{entry.strip()[:80]!r} is not an origin: write for example "
                '"https://chat.example.com", "http://localhost:*" or "*"'
            )
        elif found and found["host"] == "*":
            any_host.add(f"{found['scheme']}://")
        elif found and found["port"] == "*":
            any_port.add(f"{found['scheme']}://{found['host']}")
        elif found:
            exact.add(text)
    return Origins(everybody, frozenset(exact), frozenset(any_port), frozenset(any_host))


def granted(origin: str) -> dict[str, str]:
    """Headers of an answer to a page of `origin`, which is allowed."""
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Vary": "Origin",
    }


def preflight(origin: str, asked: Mapping[str, str]) -> dict[str, str]:
    """Headers of the answer (204) to an OPTIONS request of an allowed origin.

    Args:
        origin: The header's value.
        asked: The request's headers. The names in `Access-Control-Request-Headers` are said
            again, since a browser does not take "*" for `Authorization`.
    """
    names = asked.get("Access-Control-Request-Headers", "")
    plain = len(names) <= _MOST_HEADER_TEXT and _HEADER_NAMES.fullmatch(names)
    return granted(origin) | {
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": names if plain else "*",
        "Access-Control-Max-Age": _REMEMBERED,
    }
