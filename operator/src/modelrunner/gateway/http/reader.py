"""One request after another out of a client's bytes. No I/O.

llhttp (httptools) judges the head's grammar; what it leaves open is judged in `head`. The verdict
on the same bytes is the same however they are split.
"""

import re
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

import httptools

from modelrunner.gateway.http.chunks import BadChunk, Chunks
from modelrunner.gateway.http.head import CHUNKED, Head, judge_head, unknown_method
from modelrunner.gateway.http.refusal import Refused, bad_request
from modelrunner.gateway.http.settings import FrontSettings

if TYPE_CHECKING:
    from modelrunner.gateway.messages import Headers

_END: Final = b"\r\n\r\n"
_METHOD_LIMIT: Final = 32
_SMALL: Final = 4096
_METHOD: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class Ledger:
    """The bytes of request bodies that this process holds, and how many it may."""

    __slots__ = ("held", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0


class Phase(Enum):
    """Where in a request a reader is."""

    START = auto()
    HEAD = auto()
    LENGTH = auto()
    CHUNKED = auto()


class Reader:
    """Reads the requests of one connection.

    `feed` takes bytes until a request is complete: then `body` is its body, and `rest` is what
    follows. `release` gives its body back to the ledger.
    """

    __slots__ = (
        "_charged",
        "_chunks",
        "_empty_lines",
        "_headers",
        "_ledger",
        "_missing",
        "_objection",
        "_parser",
        "_parts",
        "_settings",
        "_spent",
        "_start",
        "_unknown",
        "_url",
        "_whole",
        "arrived",
        "body",
        "head",
        "phase",
        "rest",
    )

    def __init__(self, settings: FrontSettings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._parser: httptools.HttpRequestParser | None = None
        self._charged = 0
        self._missing = 0
        self._parts: list[bytes] = []
        self._chunks: Chunks | None = None
        self._empty_lines = 0
        # The head so far, when it comes in parts.
        self._start = b""
        self._begin()

    def _begin(self) -> None:
        self.phase = Phase.START
        self.head: Head | None = None
        self.body = b""
        self.rest = b""
        self._headers: Headers = []
        self._url = b""
        self._whole = False
        self._unknown = False
        self._spent = False
        self._objection = ""
        self.arrived = False

    # What llhttp tells.

    def on_url(self, part: bytes) -> None:
        """A part of the target."""
        self._url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field; llhttp has left out the white space before its value."""
        self._headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """The empty line has come."""
        self._whole = True

    # What the connection asks.

    @property
    def path(self) -> str:
        """As much of the path as is known, for the dialect of an error."""
        if self.head is not None:
            return self.head.path
        return self._url.partition(b"?")[0].decode("latin-1")

    @property
    def waits_for_leave(self) -> bool:
        """The client sends its body once it is told to continue."""
        return self.head is not None and self.head.expects and not self.arrived

    def feed(self, data: bytes) -> Head | None:
        """Read on; the head of a request when the whole of it is here.

        Raises:
            Refused: it is not one, or too large; the connection cannot be read further.
        """
        if self.phase is Phase.START:
            if self.head is not None:
                self._begin()
            if (self._start or data[0] in b"\r\n") and not (data := self._after_empty_lines(data)):
                return None
            self.phase = Phase.HEAD
        if self.head is None:
            return self._feed_head(data)
        return self._feed_body(self.head, data)

    def release(self) -> None:
        """The body is not needed any more."""
        self._ledger.held -= self._charged
        self._charged = 0
        self.body = b""

    # The head.

    def _after_empty_lines(self, data: bytes) -> bytes:
        # A few are to be ignored (RFC 9112 §2.2).
        data = self._start + data
        self._start = b""
        while data.startswith(b"\r\n"):
            data = data[2:]
            self._empty_lines += 1
            if self._empty_lines > 8:
                raise bad_request("Nothing but empty lines")
        if data == b"\r":
            self._start = data
            return b""
        if data[:1] in {b"\r", b"\n"}:
            raise bad_request("A line ends in a bare CR or LF")
        return data

    def _feed_head(self, data: bytes) -> Head | None:
        known = self._start
        overlap = known[-3:]
        at = (overlap + data if overlap else data).find(_END)
        end = at + 4 - len(overlap)
        room = self._settings.header_limit - len(known)
        whole = at >= 0 and end <= room
        size = end if whole else room
        part = data if size >= len(data) else data[:size]
        self._parse(part)
        start = known + part if known else part
        if self._unknown:
            _judge_method(start)
        if whole:
            self._start = b""
            return self._head_is_here(start, data, end)
        if len(start) >= self._settings.header_limit:
            raise self._too_large(start)
        self._start = start
        return None

    def _parse(self, part: bytes) -> None:
        if self._unknown:
            return
        if self._parser is None:
            self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(part)
        except httptools.HttpParserUpgrade:
            self._spent = True  # The offer is ignored, as a server may (RFC 9110 §7.8).
        except httptools.HttpParserInvalidMethodError:
            self._unknown = True
        except httptools.HttpParserError as error:
            self._objection = str(error)
            if not self._whole:
                raise bad_request(f"This is not HTTP: {error}") from None

    def _too_large(self, start: bytes) -> Refused:
        if len(start.partition(b"\r\n")[0]) > self._settings.target_limit:
            return Refused(414, "uri_too_long", "The request line is too long")
        limit = self._settings.header_limit
        return Refused(431, "header_too_large", f"The header is larger than {limit} bytes")

    def _head_is_here(self, start: bytes, data: bytes, end: int) -> Head | None:
        parser = self._parser
        if parser is None or not self._whole:
            raise bad_request("This is not HTTP")
        method = parser.get_method()
        head = judge_head(method, self._url, self._headers, start, self._settings.target_limit)
        if self._objection:
            raise bad_request(f"This is not HTTP: {self._objection}")
        self.head = head
        length = head.length
        if length > 0:
            self._check_announced(length)
        if 0 <= length <= len(data) - end:
            self._came_along(parser, data, end, length)
            return head
        self._parser = None
        self._missing = length
        if length == CHUNKED:
            self._chunks = Chunks()
            self.phase = Phase.CHUNKED
        else:
            self.phase = Phase.LENGTH
        return self._feed_body(head, data[end:]) if end < len(data) else None

    def _came_along(
        self, parser: httptools.HttpRequestParser, data: bytes, end: int, length: int
    ) -> None:
        """The usual case: head and body in one piece. The parser is kept for the next."""
        stop = end + length
        if length:
            self.body = body = data[end:stop]
            self._charge(length)
            if not self._spent:
                parser.feed_data(body)
        if self._spent:
            self._parser = None
        self.rest = data[stop:] if stop < len(data) else b""
        self.phase = Phase.START

    # The body.

    def _check_announced(self, length: int) -> None:
        if length > self._settings.body_limit:
            raise self._body_too_large()
        if self._ledger.held + length > self._ledger.limit:
            raise _crowded()

    def _charge(self, length: int) -> None:
        ledger = self._ledger
        ledger.held += length
        self._charged += length
        if ledger.held > ledger.limit:
            raise _crowded()
        if self._charged > self._settings.body_limit:
            raise self._body_too_large()

    def _body_too_large(self) -> Refused:
        limit = self._settings.body_limit
        return Refused(413, "request_too_large", f"The body is larger than {limit} bytes")

    def _feed_body(self, head: Head, data: bytes) -> Head | None:
        self.arrived = True
        if self._chunks is not None:
            return self._feed_chunks(head, self._chunks, data)
        part = data if len(data) <= self._missing else data[: self._missing]
        self._charge(len(part))
        self._keep(part)
        self._missing -= len(part)
        if self._missing:
            return None
        self.rest = data[len(part) :]
        self._complete()
        return head

    def _feed_chunks(self, head: Head, chunks: Chunks, data: bytes) -> Head | None:
        try:
            pieces = chunks.feed(data)
        except BadChunk as error:
            raise bad_request(f"The body is malformed: {error}") from None
        if pieces:
            # Joined, so that many small chunks cost no more memory than their bytes.
            part = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            self._charge(len(part))
            self._keep(part)
        if not chunks.ended:
            return None
        self.rest = chunks.rest
        self._chunks = None
        self._complete()
        return head

    def _keep(self, part: bytes) -> None:
        parts = self._parts
        if parts and len(parts[-1]) < _SMALL:
            # Many small parts would cost more than their bytes.
            parts[-1] += part
        else:
            parts.append(part)

    def _complete(self) -> None:
        self.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        self.phase = Phase.START


def _judge_method(start: bytes) -> None:
    """A method that llhttp does not know: told as soon as the whole of its name is here."""
    found = _METHOD.match(start)
    if not found or found.end() > _METHOD_LIMIT:
        raise bad_request("This is not HTTP")
    if found.end() < len(start):
        raise unknown_method() if start[found.end()] == 0x20 else bad_request("This is not HTTP")


def _crowded() -> Refused:
    message = "This gateway holds as many requests as it has room for"
    return Refused(503, "overloaded", message, [(b"retry-after", b"1")])
