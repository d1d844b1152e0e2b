"""The chunked coding, against llhttp and h11 as oracles."""

import h11
import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner.gateway.http.chunks import LAST, LINE_LIMIT, TRAILER_LIMIT, Chunks, chunk
from tests.support.http_wire import chunked

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def read(data: bytes, *, step: int | None = None) -> tuple[str, bytes, bytes]:
    """Verdict, payload, rest."""
    chunks = Chunks()
    payload = b""
    step = step or max(1, len(data))
    for start in range(0, len(data), step):
        payload += b"".join(chunks.feed(data[start : start + step]))
        if chunks.malformed:
            return "malformed", payload, b""
        if chunks.ended:
            return "ended", payload, chunks.rest + data[start + step :]
    return "more", payload, b""


def read_as_llhttp(data: bytes) -> tuple[str, bytes]:
    """What llhttp says of the same body."""

    class Target:
        def __init__(self) -> None:
            self.payload = b""
            self.ended = False

        def on_body(self, part: bytes) -> None:
            if not self.ended:
                self.payload += part

        def on_message_complete(self) -> None:
            self.ended = True

    target = Target()
    parser = httptools.HttpRequestParser(target)
    try:
        parser.feed_data(HEAD + data)
    except httptools.HttpParserError:
        if not target.ended:
            return "malformed", b""
    return ("ended" if target.ended else "more"), target.payload


def read_as_h11(data: bytes) -> str:
    """What h11 says of the same body."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(HEAD + data)
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.EndOfMessage):
                return "ended"
            if event is h11.NEED_DATA:
                return "more"
    except h11.RemoteProtocolError:
        return "malformed"


GOOD = [
    b"0\r\n\r\n",
    b"3\r\nabc\r\n0\r\n\r\n",
    b"003\r\nabc\r\n00\r\n\r\n",
    b"A\r\n0123456789\r\n0\r\n\r\n",
    b"a\r\n0123456789\r\n0\r\n\r\n",
    b"3;name=value\r\nabc\r\n0;x\r\n\r\n",
    b'3;name="quoted"\r\nabc\r\n0\r\n\r\n',
    b"3\r\nabc\r\n0\r\nTrailer: yes\r\nOther:\r\n\r\n",
    b"3\r\n\r\n0\r\n0\r\n\r\n",
]
BAD = [
    b"\r\n",
    b"g\r\n",
    b"-1\r\n",
    b"+3\r\nabc\r\n",
    b"0x3\r\nabc\r\n",
    b"1_0\r\n",
    b" 3\r\nabc\r\n",
    b"3 \r\nabc\r\n",
    b"3\nabc\r\n",
    b"3\r\nabcd\r\n",
    b"3\r\nabc\n0\r\n\r\n",
    b"3\r\nabc\rx",
    b"3\r\nab\r\n0\r\n\r\n",
    b"3;a\nb\r\nabc\r\n",
    b"3;a\x00\r\nabc\r\n",
    b"10000000000000000\r\n",
    b"ffffffffffffffffff\r\n",
    b"0\r\nno colon\r\n\r\n",
    b"0\r\n folded: x\r\n\r\n",
    b"0\r\nA: b\n\r\n",
    b"0\r\nA: \x00\r\n\r\n",
]


@pytest.mark.parametrize("data", GOOD)
def test_good_bodies(data: bytes) -> None:
    """Read whole, with what follows left alone, at every split."""
    verdict = read(data + b"GET ")
    assert verdict[0] == "ended"
    assert verdict[2] == b"GET "
    for step in range(1, len(data) + 5):
        assert read(data + b"GET ", step=step) == verdict
    assert read_as_llhttp(data) == verdict[:2]
    assert read_as_h11(data) == "ended"


@pytest.mark.parametrize("data", BAD)
def test_bad_bodies(data: bytes) -> None:
    """Refused, at every split; nobody else takes them for whole."""
    for step in range(1, len(data) + 1):
        assert read(data, step=step)[0] == "malformed"
    assert read_as_llhttp(data)[0] != "ended"


def test_lines_are_bounded() -> None:
    """Neither an endless extension nor endless trailers are read on and on."""
    extension = b"3;" + b"x" * LINE_LIMIT
    trailers = b"0\r\n" + b"A: b\r\n" * TRAILER_LIMIT
    one_trailer = b"0\r\nA: " + b"b" * TRAILER_LIMIT
    for data in (extension, extension + b"\r\nabc\r\n", trailers, one_trailer + b"\r\n\r\n"):
        for step in (len(data), 1000, 1):
            assert read(data, step=step)[0] == "malformed"


def test_verbatim() -> None:
    """Bytes may be passed on as they are only when they are whole plain chunks."""
    chunks = Chunks()
    for data, verbatim in (
        (b"3\r\nabc\r\n", True),
        (b"3\r\nabc\r\n4\r\nabcd\r\n", True),
        (b"3\r\nab", False),
        (b"c\r\n", False),
        (b"3;x\r\nabc\r\n", False),
        (b"3", False),
        (b"\r\nabc\r\n", False),
        (b"1\r\na\r\n" + LAST, True),
    ):
        chunks.feed(data)
        assert chunks.verbatim is verbatim, data
    for data in (b"0\r\nA: b\r\n\r\n", LAST + b"x", b"00\r\n\r\n", b"0\r\n"):
        chunks = Chunks()
        chunks.feed(data)
        assert not chunks.verbatim, data


def test_a_chunk_of_nothing_is_not_written() -> None:
    """It would be the last."""
    assert chunk(b"") == b""
    assert chunk(b"x" * 16) == b"10\r\n" + b"x" * 16 + b"\r\n"


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.data())
def test_any_split_of_a_good_body(payloads: list[bytes], data: st.DataObject) -> None:
    """The payload is the same however the bytes come, and what comes verbatim is as long."""
    body = chunked(*payloads) + b"rest"
    chunks = Chunks()
    payload = b""
    at = 0
    while not chunks.ended:
        size = data.draw(st.integers(1, len(body) - at))
        part = body[at : at + size]
        pieces = chunks.feed(part)
        assert not chunks.malformed
        if chunks.verbatim:
            assert part.removesuffix(LAST) == b"".join(map(chunk, pieces))
        payload += b"".join(pieces)
        at += size
    assert payload == b"".join(payloads)
    assert (chunks.rest + body[at:]) == b"rest"


PARTS = st.sampled_from(
    [b"0", b"3", b"a", b"\r\n", b"\r", b"\n", b";", b"x=y", b"abc", b" ", b"A: b", b"\x00", b"ff"]
)


@given(st.lists(PARTS, max_size=14).map(b"".join), st.integers(1, 5))
def test_any_bytes(data: bytes, step: int) -> None:
    """Any split gives one verdict, and what we take for whole, llhttp does too, with the same body.

    What llhttp is laxer about (white space, a line end) may be malformed here.
    """
    verdict = read(data)
    stepwise = read(data, step=step)
    assert stepwise[0] == verdict[0]
    if verdict[0] != "malformed":
        assert stepwise == verdict
    if verdict[0] == "ended":
        assert read_as_llhttp(data) == verdict[:2]


@given(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=6), st.data())
def test_whole_chunks_are_read_as_others_are(payloads: list[bytes], data: st.DataObject) -> None:
    """The short way, tried at every piece however the bytes are cut, changes no payload."""
    coded = b"".join(map(chunk, payloads))
    for payload in payloads:
        Chunks().feed(chunk(payload))  # Sizes are learned.
    cuts = sorted(data.draw(st.lists(st.integers(0, len(coded)), max_size=4)))
    chunks, found = Chunks(), b""
    for start, stop in zip([0, *cuts], [*cuts, len(coded)], strict=True):
        piece = coded[start:stop]
        if at := chunks.whole(piece):
            assert chunk(piece[at:-2]) == piece
            found += piece[at:-2]
        else:
            found += b"".join(chunks.feed(piece))
    assert (found, chunks.malformed) == (b"".join(payloads), "")
    assert not chunks.ended


@pytest.mark.parametrize(
    "piece",
    [b"", b"\r\n", b"3\r\nabc", b"3\r\nabcd\r\n", b"3\r\nabcXY", b"0\r\n\r\n", b"3;a\r\nabc\r\n"],
)
def test_what_is_not_one_whole_plain_chunk_is_fed(piece: bytes) -> None:
    """The last chunk, extensions and what is broken go the long way."""
    Chunks().feed(b"3\r\nabc\r\n")
    assert not Chunks().whole(piece)
