"""The head of an endpoint's answer: read with llhttp, judged, written anew. Pure."""

import re
from typing import TYPE_CHECKING, Final

import httptools

from modelrunner.gateway.http.fields import HOP_BY_HOP, NOT_PASSED_BACK, tokens
from modelrunner.gateway.http.memo import Pattern, pattern_of
from modelrunner.gateway.http.render import answer_start
from modelrunner_protocol.runner import DRAINING_HEADER

if TYPE_CHECKING:
    from modelrunner.gateway.messages import Headers

CHUNKED: Final = -1
UNTIL_CLOSE: Final = -2
_DRAINING: Final = DRAINING_HEADER.lower().encode()
HEAD_LIMIT: Final = 64 * 1024
_REASON: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_VERSIONS: Final = {b"HTTP/1.1", b"HTTP/1.0"}
_JUDGED: Final = NOT_PASSED_BACK | {b"content-type", _DRAINING}
_STREAMS: Final = (b"text/event-stream", b"application/x-ndjson")


class BadAnswer(Exception):  # noqa: N818 - a verdict on bytes, raised for whoever judges it
    """What came is not an answer of HTTP/1.1 or 1.0."""


class AnswerHead:
    """`length` is of the body in bytes, or CHUNKED, or UNTIL_CLOSE; what no body has, has 0.

    `told` is its Content-Length, which an answer to HEAD has too. `fields` are those that are
    passed on, as the endpoint wrote them; `start` is the status line and they, as lines.
    """

    __slots__ = (
        "draining",
        "fields",
        "keep_alive",
        "length",
        "reason",
        "start",
        "status",
        "stream",
        "told",
    )

    def __init__(self, status: int, reason: bytes) -> None:
        self.status = status
        self.reason = reason
        self.start = b""
        self.fields: Headers = []
        self.length = UNTIL_CLOSE
        self.told: bytes | None = None
        self.keep_alive = True
        self.draining = False
        self.stream = False


class HeadReader:
    """Reads the heads of one connection, and remembers the last one."""

    __slots__ = ("_headers", "_pattern", "_reason", "_remembered", "_whole")

    def __init__(self) -> None:
        self._pattern: Pattern | None = None
        self._remembered: AnswerHead | None = None

    def on_status(self, part: bytes) -> None:
        """Part of httptools: a part of the reason."""
        self._reason += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Part of httptools: one field."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Part of httptools: the empty line has come."""
        self._whole = True

    def read(self, data: bytes, *, bodiless: bool) -> tuple[AnswerHead, int] | None:
        """The head that `data` begins with and where it ends, when the whole of it is there.

        `bodiless`: the answer has no body, whatever its head says.

        Raises:
            BadAnswer: it is malformed, too large, or says in two ways how long its body is.
        """
        pattern, head = self._pattern, self._remembered
        if pattern is not None and head is not None and not bodiless:
            end = pattern.match(data)
            if end:
                if head.told is not None:
                    head.told = pattern.digits
                    head.length = int(pattern.digits)
                return head, end
        end = data.find(b"\r\n\r\n") + 4
        if end < 4 or end > HEAD_LIMIT:
            if len(data) > HEAD_LIMIT or not data.startswith(b"HTTP/1."[: len(data)]):
                raise BadAnswer("this is no head")
            return None
        raw = data[:end]
        head = self._parse(raw)
        if bodiless or head.status in {204, 304} or head.status < 200:
            head.length = 0
        elif head.length != UNTIL_CLOSE:
            self._remembered = head
            self._pattern = pattern_of(raw, has_length=head.told is not None, has_id=True)
        return head, end

    def _parse(self, raw: bytes) -> AnswerHead:
        self._headers: Headers = []
        self._reason = b""
        self._whole = False
        parser = httptools.HttpResponseParser(self)
        try:
            parser.feed_data(raw)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise BadAnswer(str(error)) from None
        status = parser.get_status_code()
        if not self._whole or raw[:8] not in _VERSIONS or not 100 <= status <= 599 or status == 101:
            raise BadAnswer("the head is malformed")
        if not _REASON.fullmatch(self._reason):
            raise BadAnswer("the reason is malformed")
        head = AnswerHead(status, self._reason)
        head.keep_alive = raw[7] == 0x31
        self._judge(head)
        head.start = answer_start(status, self._reason, head.fields)
        return head

    def _judge(self, head: AnswerHead) -> None:
        coding: bytes | None = None
        options: set[bytes] | None = None
        fields = head.fields
        for pair in self._headers:
            name = pair[0].lower()
            if name not in _JUDGED:
                fields.append(pair)
            elif name == b"content-length":
                head.told = pair[1].strip(b" \t")
            elif name == b"transfer-encoding":
                coding = pair[1] if coding is None else coding + b"," + pair[1]
            elif name == b"connection":
                options = tokens((pair[1],)) | (options or set())
            elif name == b"content-type":
                head.stream = pair[1].lower().startswith(_STREAMS)
                fields.append(pair)
            elif name == _DRAINING:
                head.draining = head.status == 503
                fields.append(pair)
        if options:
            _judge_options(head, options)
        _judge_length(head, coding)


def _judge_options(head: AnswerHead, options: set[bytes]) -> None:
    if b"close" in options:
        head.keep_alive = False
    elif b"keep-alive" in options:
        head.keep_alive = True
    nominated = options - HOP_BY_HOP - {b"close", b"content-type"}
    if nominated:
        head.fields = [pair for pair in head.fields if pair[0].lower() not in nominated]


def _judge_length(head: AnswerHead, coding: bytes | None) -> None:
    if coding is not None:
        if head.told is not None or coding.strip(b" \t").lower() != b"chunked":
            raise BadAnswer("the length of the body is told in two ways, or in an unknown one")
        head.length = CHUNKED
    elif head.told is not None:
        if not head.told.isdigit() or len(head.told) > 18:
            raise BadAnswer("Content-Length is not a number")
        head.length = int(head.told)
    else:
        head.keep_alive = head.keep_alive and head.status in {204, 304}
