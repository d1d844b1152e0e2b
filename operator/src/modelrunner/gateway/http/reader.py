"""One request after another out of a client's bytes. No I/O.

The verdict on the same bytes is the same however they are split.
"""

from typing import Final

from modelrunner.gateway.http.chunks import Chunks
from modelrunner.gateway.http.grammar import HeadGrammar
from modelrunner.gateway.http.head import CHUNKED, Head
from modelrunner.gateway.http.memo import Pattern, pattern_of
from modelrunner.gateway.http.refusal import Refused, bad_request
from modelrunner.gateway.http.settings import FrontSettings

_SMALL: Final = 4096


class Ledger:
    """The bytes of request bodies that this process holds, and how many it may."""

    __slots__ = ("held", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0


class Reader:
    """Reads the requests of one connection.

    `feed` takes bytes until a request is complete: then `body` is its body, and `rest` is what
    follows. `head` is that of the request being read, as soon as it is known. `release` gives the
    body back to the ledger.
    """

    __slots__ = (
        "_charged",
        "_chunks",
        "_grammar",
        "_ledger",
        "_missing",
        "_parts",
        "_pattern",
        "_remembered",
        "_settings",
        "body",
        "head",
        "rest",
    )

    def __init__(self, settings: FrontSettings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._grammar: HeadGrammar | None = None
        self._pattern: Pattern | None = None
        self._remembered: Head | None = None
        self._charged = 0
        self._missing = 0
        self._parts: list[bytes] = []
        self._chunks: Chunks | None = None
        self.head: Head | None = None
        self.body = b""
        self.rest = b""

    @property
    def path(self) -> str:
        """As much of the path as is known, for the dialect of an error."""
        if self.head is not None:
            return self.head.path
        return self._grammar.path if self._grammar is not None else ""

    @property
    def waits_for_leave(self) -> bool:
        """The client sends its body once it is told to continue."""
        return self.head is not None and self.head.expects and not self._charged

    def feed(self, data: bytes) -> Head | None:
        """Read on; the head of a request when the whole request is here.

        Raises:
            Refused: it is not one, or too large; the connection cannot be read further.
        """
        head = self.head
        if head is not None:
            return self._feed_body(head, data)
        grammar = self._grammar
        if grammar is None:
            pattern = self._pattern
            if pattern is not None and (end := pattern.match(data)):
                head = self._remembered
                if head is not None:
                    head.repeat(pattern.digits, pattern.identity)
                    return self._begin_body(head, data, end)
            grammar = self._grammar = HeadGrammar(self._settings)
        found = grammar.feed(data)
        if found is None:
            return None
        head, data = found
        self._remember(head, grammar.raw)
        self._grammar = None
        return self._begin_body(head, data, 0)

    def _remember(self, head: Head, raw: bytes) -> None:
        if head.length != CHUNKED and not head.expects:
            self._pattern = pattern_of(raw, has_length=head.told_at >= 0, has_id=bool(head.id))
            self._remembered = head

    def release(self) -> None:
        """The body is not needed any more."""
        self._ledger.held -= self._charged
        self._charged = 0
        self.body = b""

    def _begin_body(self, head: Head, data: bytes, end: int) -> Head | None:
        """The head is known, and the body begins at `end`."""
        length = head.length
        if length == 0:
            self.rest = data[end:] if end < len(data) else b""
            return head
        self.head = head
        if length > 0:
            self._check_announced(length)
            stop = end + length
            if stop <= len(data):
                # The usual case: all in one piece.
                self._charge(length)
                self.body = data[end:stop]
                self.rest = data[stop:] if stop < len(data) else b""
                self.head = None
                return head
            self._missing = length
        else:
            self._chunks = Chunks()
        return self._feed_body(head, data[end:]) if end < len(data) else None

    def _feed_body(self, head: Head, data: bytes) -> Head | None:
        if self._chunks is not None:
            return self._feed_chunks(head, self._chunks, data)
        part = data if len(data) <= self._missing else data[: self._missing]
        self._keep(part)
        self._missing -= len(part)
        if self._missing:
            return None
        return self._complete(head, data[len(part) :])

    def _feed_chunks(self, head: Head, chunks: Chunks, data: bytes) -> Head | None:
        pieces = chunks.feed(data)
        if pieces:
            self._keep(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if chunks.malformed:
            raise bad_request(f"The body is malformed: {chunks.malformed}")
        if not chunks.ended:
            return None
        self._chunks = None
        return self._complete(head, chunks.rest)

    def _complete(self, head: Head, rest: bytes) -> Head:
        self.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        self.rest = rest
        self.head = None
        return head

    def _keep(self, part: bytes) -> None:
        self._charge(len(part))
        parts = self._parts
        if parts and len(parts[-1]) < _SMALL:
            # Many small parts would cost more than their bytes.
            parts[-1] += part
        else:
            parts.append(part)

    def _check_announced(self, length: int) -> None:
        if length > self._settings.body_limit:
            raise self._too_large()
        if self._ledger.held + length > self._ledger.limit:
            raise _crowded()

    def _charge(self, length: int) -> None:
        ledger = self._ledger
        ledger.held += length
        self._charged += length
        if ledger.held > ledger.limit:
            raise _crowded()
        if self._charged > self._settings.body_limit:
            raise self._too_large()

    def _too_large(self) -> Refused:
        limit = self._settings.body_limit
        return Refused(413, "request_too_large", f"The body is larger than {limit} bytes")


def _crowded() -> Refused:
    message = "This gateway holds as many requests as it has room for"
    return Refused(503, "overloaded", message, [(b"retry-after", b"1")])
