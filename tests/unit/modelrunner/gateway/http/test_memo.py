"""Heads that are recognised: what varies is judged, all else is the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner.gateway.http.answer_head import HeadReader
from modelrunner.gateway.http.memo import pattern_of
from modelrunner.gateway.http.reader import Ledger, Reader
from modelrunner.gateway.http.refusal import Refused
from modelrunner.gateway.http.settings import FrontSettings

_IDS = (
    "",
    "X-Request-Id: one\r\n",
    "X-Request-Id: another-2\r\n",
    "x-request-id:0\r\n",
    "X-Request-Id: spaced \r\n",
    "X-Request-Id: two words\r\n",
    "X-Request-Id: \r\n",
    f"X-Request-Id: {'a' * 128}\r\n",
    f"X-Request-Id: {'a' * 129}\r\n",
    "X-Request-Id: \u00e9\r\n",
    "X-Request-Id: a\r\nX-Request-Id: b\r\n",
    "X-Request-Id: a\r\nX-Request-Id: b c\r\n",
    "Connection: x-request-id\r\nX-Request-Id: a\r\n",
)
_LENGTHS = ("", "Content-Length: 2\r\n", "content-length:  3 \r\n", "Content-Length: 0\r\n")
_HEADS = st.tuples(st.sampled_from(_IDS), st.sampled_from(_LENGTHS), st.booleans())


def _request(words: tuple[str, str, bool]) -> bytes:
    identity, length, length_first = words
    fields = f"{length}A: b\r\n{identity}" if length_first else f"{identity}A: b\r\n{length}"
    body = "abc"[: int(length.partition(":")[2])] if length else ""
    return f"POST /x HTTP/1.1\r\nHost: x\r\n{fields}\r\n{body}".encode("latin-1")


def _read(reader: Reader, data: bytes) -> object:
    try:
        head = reader.feed(data)
    except Refused as refused:
        return refused.status
    assert head is not None
    told = (head.id, list(head.headers), head.length, head.keep_alive, reader.body, reader.rest)
    reader.release()
    return told


def _reader() -> Reader:
    return Reader(FrontSettings(), Ledger(1 << 20))


@given(st.lists(_HEADS, min_size=2, max_size=5))
def test_requests_are_read_as_on_new_connections(heads: list[tuple[str, str, bool]]) -> None:
    """Whatever came before on a connection, the next head means the same as on a fresh one."""
    kept = _reader()
    for words in heads:
        data = _request(words)
        told = _read(kept, data)
        assert told == _read(_reader(), data)
        if isinstance(told, int):
            break


@given(st.lists(_HEADS, min_size=2, max_size=5))
def test_answers_are_read_as_on_new_connections(heads: list[tuple[str, str, bool]]) -> None:
    """The same for the heads of endpoints, each of which has another X-Request-Id."""
    kept = HeadReader()
    for words in heads:
        data = _request(words).replace(b"POST /x HTTP/1.1", b"HTTP/1.1 200 OK")
        found, expected = (reader.read(data, bodiless=False) for reader in (kept, HeadReader()))
        assert found is not None
        assert expected is not None
        assert found[1] == expected[1]
        for name in ("status", "start", "length", "told", "keep_alive", "stream", "draining"):
            assert getattr(found[0], name) == getattr(expected[0], name), name


def test_an_id_that_varies_is_no_new_head() -> None:
    """Runners tell a request's id in each answer: it must not cost a parser each time."""
    head = b"HTTP/1.1 200 OK\r\nX-Request-Id: a\r\nContent-Length: 2\r\nDate: d\r\n\r\n"
    pattern = pattern_of(head, has_length=True, has_id=True)
    assert pattern is not None
    other = head.replace(b": a", b": " + b"b" * 128).replace(b": 2", b": 17")
    assert pattern.match(other + b"body") == len(other)
    assert (pattern.identity, pattern.digits) == (b"b" * 128, b"17")


@pytest.mark.parametrize("identity", [b"", b" ", b"a b", b"a\nb", b"\xe9", b"a" * 129, b"a\x00"])
def test_an_id_that_is_not_well_formed_is_not_recognised(identity: bytes) -> None:
    """The parser judges it."""
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\r\n\r\n"
    pattern = pattern_of(head, has_length=False, has_id=True)
    assert pattern is not None
    assert not pattern.match(head.replace(b": a", b": " + identity))
