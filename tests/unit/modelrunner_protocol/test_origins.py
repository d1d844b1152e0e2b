"""Origins of web pages against a list."""

import pytest

from modelrunner_protocol.origins import LOCAL, Origins, granted, parse_origins, preflight


@pytest.mark.parametrize(
    ("entries", "origin", "allowed"),
    [
        (LOCAL, "http://localhost", True),
        (LOCAL, "http://localhost:3000", True),
        (LOCAL, "https://127.0.0.1:8443", True),
        (LOCAL, "http://[::1]:5173", True),
        (LOCAL, "http://LocalHost:3000", True),
        (LOCAL, "https://evil.example", False),
        (LOCAL, "http://localhost.evil.example", False),
        (LOCAL, "http://localhost:80.evil.example", False),
        (LOCAL, "http://evil.example/http://localhost:3000", False),
        (LOCAL, "null", False),
        (LOCAL, "", False),
        (("https://chat.example.com",), "https://chat.example.com", True),
        (("https://chat.example.com",), "http://chat.example.com", False),
        (("https://chat.example.com",), "https://chat.example.com:8443", False),
        ((" https://Chat.example.com ", ""), "https://chat.example.com", True),
        (("vscode-webview://*",), "vscode-webview://abc123", True),
        (("vscode-webview://*",), "http://abc123", False),
        (("null",), "null", True),
        (("*",), "https://evil.example", True),
        (("https://a.example", "*"), "https://b.example", True),
        ((), "http://localhost", False),
    ],
)
def test_allows(entries: tuple[str, ...], origin: str, allowed: bool) -> None:
    """An origin is allowed by a whole entry, a pattern of ports or hosts, or the asterisk."""
    assert parse_origins(entries).allows(origin) is allowed


def test_long_text_is_no_origin() -> None:
    """A header of any length is not looked at beyond its bound."""
    assert not parse_origins(LOCAL).allows("http://localhost:" + "1" * 100_000)


@pytest.mark.parametrize(
    "entry",
    ["localhost", "https://a.example/path", "http://*:80", "http://*.example.com", "a b", "://x"],
)
def test_what_is_no_origin(entry: str) -> None:
    """An entry that could never match is an error that says so, not a silent hole in the list."""
    with pytest.raises(ValueError, match="is not an origin"):
        parse_origins((entry,))


def test_nothing_is_allowed_by_nothing() -> None:
    """The empty list allows no page."""
    assert parse_origins(()) == Origins()


def test_headers() -> None:
    """A page is named, so that it may send credentials, and caches keep pages apart."""
    told = granted("http://localhost:3000")
    assert told["Access-Control-Allow-Origin"] == "http://localhost:3000"
    assert told["Vary"] == "Origin"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, "*"),
        (
            {"Access-Control-Request-Headers": "authorization, content-type"},
            "authorization, content-type",
        ),
        ({"Access-Control-Request-Headers": "x\r\nSet-Cookie: a=b"}, "*"),
        ({"Access-Control-Request-Headers": "x" * 10_000}, "*"),
    ],
)
def test_preflight(asked: dict[str, str], told: str) -> None:
    """The headers that a page wants to send are allowed by name; other text is not said again."""
    found = preflight("http://localhost", asked)
    assert found["Access-Control-Allow-Headers"] == told
    assert found["Access-Control-Allow-Methods"] == "GET, POST, DELETE"
