"""One request head out of a client's bytes, however they are split. No I/O."""

import re
from typing import TYPE_CHECKING, Final

import httptools

from modelrunner.gateway.http.head import Head, judge_head, unknown_method
from modelrunner.gateway.http.refusal import Refused, bad_request
from modelrunner.gateway.http.settings import FrontSettings

if TYPE_CHECKING:
    from modelrunner.gateway.messages import Headers

_END: Final = b"\r\n\r\n"
_METHOD_LIMIT: Final = 32
_EMPTY_LINES: Final = 8
_METHOD: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class HeadGrammar:
    """Reads one head: llhttp judges its grammar as it comes, `judge_head` the rest.

    `raw` is the head so far, from its first line on.
    """

    __slots__ = (
        "_empty_lines",
        "_headers",
        "_objection",
        "_parser",
        "_settings",
        "_unknown",
        "_url",
        "_whole",
        "begun",
        "raw",
    )

    def __init__(self, settings: FrontSettings) -> None:
        self._settings = settings
        self._parser = httptools.HttpRequestParser(self)
        self._headers: Headers = []
        self._url = b""
        self._whole = False
        self._unknown = False
        self._objection = ""
        self._empty_lines = 0
        self.begun = False
        self.raw = b""

    def on_url(self, part: bytes) -> None:
        """Part of httptools: a part of the target."""
        self._url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Part of httptools: one field, without white space before its value."""
        self._headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Part of httptools: the empty line has come."""
        self._whole = True

    @property
    def path(self) -> str:
        """As much of the path as is known, for the dialect of an error."""
        return self._url.partition(b"?")[0].decode("latin-1")

    def feed(self, data: bytes) -> tuple[Head, bytes] | None:
        """Read on; the head and what follows it, when the whole of it is here.

        Raises:
            Refused: it is not the head of a request, is too large, or asks for the impossible.
        """
        if not self.begun:
            if (self.raw or data[0] in b"\r\n") and not (data := self._after_empty_lines(data)):
                return None
            self.begun = True
        known = self.raw
        overlap = known[-3:]
        at = (overlap + data if overlap else data).find(_END)
        room = self._settings.header_limit - len(known)
        end = at + 4 - len(overlap)
        whole = at >= 0 and end <= room
        part = data[: end if whole else room]
        self._parse(part)
        self.raw = known + part if known else part
        if self._unknown:
            _judge_method(self.raw)
        if whole:
            return self._judge(), data[end:]
        if len(part) >= room:
            raise self._too_large()
        return None

    def _after_empty_lines(self, data: bytes) -> bytes:
        """A few empty lines before a request are to be ignored (RFC 9112 §2.2)."""
        data = self.raw + data
        self.raw = b""
        while data.startswith(b"\r\n"):
            data = data[2:]
            self._empty_lines += 1
            if self._empty_lines > _EMPTY_LINES:
                raise bad_request("Nothing but empty lines")
        if data == b"\r":
            self.raw = data
            return b""
        if data[:1] in {b"\r", b"\n"}:
            raise bad_request("A line ends in a bare CR or LF")
        return data

    def _parse(self, part: bytes) -> None:
        if self._unknown:
            return
        try:
            self._parser.feed_data(part)
        except httptools.HttpParserUpgrade:
            pass  # The offer is ignored, as a server may (RFC 9110 §7.8).
        except httptools.HttpParserInvalidMethodError:
            self._unknown = True
        except httptools.HttpParserError as error:
            self._objection = str(error)
            if not self._whole:
                raise bad_request(f"This is not HTTP: {error}") from None

    def _judge(self) -> Head:
        if not self._whole:
            raise bad_request("This is not HTTP")
        method = self._parser.get_method()
        head = judge_head(method, self._url, self._headers, self.raw, self._settings.target_limit)
        if self._objection:
            raise bad_request(f"This is not HTTP: {self._objection}")
        return head

    def _too_large(self) -> Refused:
        if len(self.raw.partition(b"\r\n")[0]) > self._settings.target_limit:
            return Refused(414, "uri_too_long", "The request line is too long")
        limit = self._settings.header_limit
        return Refused(431, "header_too_large", f"The header is larger than {limit} bytes")


def _judge_method(raw: bytes) -> None:
    """A method that llhttp does not know: told as soon as the whole of its name is here."""
    found = _METHOD.match(raw)
    if not found or found.end() > _METHOD_LIMIT:
        raise bad_request("This is not HTTP")
    if found.end() < len(raw):
        raise unknown_method() if raw[found.end()] == 0x20 else bad_request("This is not HTTP")
