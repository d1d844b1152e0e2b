"""The chunked coding (RFC 9112 §7.1): finding chunks and their end. Pure.

llhttp does not tell where in its input a message ends, and to pass bytes on unread one must know.
"""

import re
from typing import Final

LAST: Final = b"0\r\n\r\n"
LINE_LIMIT: Final = 4096
TRAILER_LIMIT: Final = 16 * 1024
_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,15}")
_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
_LINE_START: Final = re.compile(rb"[0-9A-Fa-f]{1,15}(?:[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?)?\r?")
_TRAILER: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")
_TRAILER_START: Final = re.compile(
    rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?::[\t\x20-\x7e\x80-\xff]*)?)?\r?"
)
_SHORT: Final = 10
_KNOWN_LIMIT: Final = 4096
_known: Final[dict[bytes, int]] = {}
"""Lines seen before: most chunks of a stream are of a few sizes."""


class _BadChunk(Exception):  # noqa: N818 - a verdict on bytes
    """What came is not the chunked coding."""


class Chunks:
    """Reads one chunked body from its first byte.

    After each `feed`: `verbatim` says that its bytes were whole plain chunks, so that they can be
    passed on as they are; `ended` that the body is complete, and `rest` is what came after it.
    `malformed` says what is wrong when this is not the chunked coding, or a line is too long.
    """

    __slots__ = ("_carry", "_left", "_trailer", "ended", "malformed", "rest", "verbatim")

    def __init__(self) -> None:
        self.ended = False
        self.verbatim = False
        self.malformed = ""
        self.rest = b""
        self._carry = b""
        # Of the current chunk, what is still to come with its CRLF; 0 between chunks.
        self._left = 0
        # Bytes of trailers read; negative until the last chunk is there.
        self._trailer = -1

    def whole(self, data: bytes) -> int:
        """Where the payload begins in data that is just one plain chunk of a size seen before.

        0 when it is anything else: `feed` it. Else it is read by this, and passed on as it is.
        """
        if self._left or self._carry or self._trailer >= 0:
            return 0
        end = data.find(b"\r\n", 0, _SHORT)
        length = _known.get(data[:end], -1)
        if len(data) == end + length + 4 and length > 0 and data.endswith(b"\r\n"):
            return end + 2
        return 0

    def feed(self, data: bytes) -> list[bytes]:
        """The payload in `data`, in pieces, up to where it is malformed."""
        pieces: list[bytes] = []
        try:
            self._feed(data, pieces)
        except _BadChunk as error:
            self.malformed = str(error)
            self.verbatim = False
        return pieces

    def _feed(self, data: bytes, pieces: list[bytes]) -> None:
        self.verbatim = not (self._left or self._carry or self._trailer >= 0)
        if self._carry:
            data = self._carry + data
            self._carry = b""
        at = self._rest_of_chunk(data, 0, pieces) if self._left else 0
        size = len(data)
        while at < size and self._trailer < 0:
            end = data.find(b"\r\n", at, at + LINE_LIMIT)
            if end < 0:
                self._keep_line(data[at:])
                return
            length = _known.get(data[at:end])
            if length is None:
                length = self._length(data[at:end])
            if not length:
                self._trailer = 0
                self.verbatim = self.verbatim and data[at:] == LAST
                at = end + 2
                break
            at = end + 2
            stop = at + length
            if data[stop : stop + 2] == b"\r\n":
                pieces.append(data[at:stop])
                at = stop + 2
            else:
                self.verbatim = False
                self._left = length + 2
                at = self._rest_of_chunk(data, at, pieces)
        if self._trailer >= 0:
            self._trailers(data, at)

    def _rest_of_chunk(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        if self._left > 2 and (piece := data[at : at + self._left - 2]):
            pieces.append(piece)
            at += len(piece)
            self._left -= len(piece)
        if self._left <= 2:
            closing = data[at : at + self._left]
            if not b"\r\n"[2 - self._left :].startswith(closing):
                raise _BadChunk("a chunk does not end where its size says")
            at += len(closing)
            self._left -= len(closing)
        return at

    def _keep_line(self, start: bytes) -> None:
        if len(start) >= LINE_LIMIT:
            raise _BadChunk("the line of a chunk's size is too long")
        if not _LINE_START.fullmatch(start):
            raise _BadChunk("a chunk's size is not a number")
        self._carry = start
        self.verbatim = False

    def _length(self, line: bytes) -> int:
        if _SIZE.fullmatch(line):
            length = int(line, 16)
            if length and len(line) < 8 and len(_known) < _KNOWN_LIMIT:
                _known[line] = length
            return length
        self.verbatim = False
        found = _LINE.fullmatch(line)
        if not found:
            raise _BadChunk("a chunk's size is not a number")
        return int(found[1], 16)

    def _trailers(self, data: bytes, at: int) -> None:
        # They are read and dropped: nobody on either side was promised any.
        while True:
            end = data.find(b"\r\n", at)
            length = (len(data) if end < 0 else end) - at
            if self._trailer + length > TRAILER_LIMIT:
                raise _BadChunk("the trailers are too long")
            if end < 0:
                if not _TRAILER_START.fullmatch(data, at):
                    raise _BadChunk("a trailer is malformed")
                self._carry = data[at:]
                return
            if end == at:
                self.ended = True
                self.rest = data[end + 2 :]
                return
            if not _TRAILER.fullmatch(data, at, end):
                raise _BadChunk("a trailer is malformed")
            self._trailer += length + 2
            at = end + 2


def chunk(payload: bytes) -> bytes:
    """One chunk; nothing for nothing, since an empty chunk is the last."""
    return b"%x\r\n%b\r\n" % (len(payload), payload) if payload else b""
