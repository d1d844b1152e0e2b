"""Which bytes are requests: every rule as a row, and every split of the same bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner.gateway.http.settings import FrontSettings
from tests.support.http_rows import ACCEPTED, REFUSED, SEEDS
from tests.support.http_wire import chunked, get, post
from tests.unit.modelrunner.gateway.http.verdicts import Verdict, judge


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str) -> None:
    """A request is read whole, a second like it too, and at each split the same."""
    data = ACCEPTED[name]
    verdict = judge(data + data)
    assert verdict.status is None
    assert len(verdict.asked) == (2 if verdict.asked[0].keep_alive else 1)
    for cut in range(1, len(data) * 2):
        assert judge(data + data, (cut,)) == verdict
    assert judge(data + data, tuple(range(1, len(data) * 2))) == verdict


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """The same status at each split, alone and behind a good request."""
    status, data = REFUSED[name]
    verdict = judge(data)
    assert (verdict.asked, verdict.status) == ((), status)
    step = max(1, len(data) // 100)
    for cut in range(1, len(data), step):
        assert judge(data, (cut,)).status == status
    assert judge(data, tuple(range(1, len(data), step))).status == status
    behind = judge(get() + data)
    assert (len(behind.asked), behind.status) == (1, status)


def test_a_repeated_head_is_judged_by_its_number() -> None:
    """Only the number of Content-Length may differ from a remembered head, and it must be one."""
    first = post(b"abc")
    for digits, status in (
        (b"5", None),
        (b"005", None),
        (b"5 ", None),
        (b"+5", 400),
        (b"5a", 400),
        (b"5, 5", 400),
        (b"5_0", 400),
        (b"", 400),
        ("\N{SUPERSCRIPT TWO}".encode("latin-1"), 400),
        (b"5\r\nTransfer-Encoding: chunked", 400),
        (b"5\r\nContent-Length: 5", 400),
        (b"5\n", 400),
        (b"9" * 12, 413),
        (b"9" * 40, 400),
    ):
        second = first.replace(b"Content-Length: 3", b"Content-Length: " + digits)[:-3] + b"12345"
        verdict = judge(first + second)
        assert verdict.status == status, digits
        assert verdict == judge(first + second, (len(first) + 10,)), digits
        if status is None:
            assert verdict.asked[1].body == b"12345"
            assert dict(verdict.asked[1].headers)[b"content-length"] == digits.strip()


def test_a_remembered_head_is_not_taken_for_a_longer_one() -> None:
    """More fields, or fewer, are another head."""
    plain, coded = get("/"), get("/", "Transfer-Encoding: chunked")
    verdict = judge(plain + coded + chunked(b"abc") + plain + post(b"xy") + coded + chunked(b""))
    assert [asked.body for asked in verdict.asked] == [b"", b"abc", b"", b"xy", b""]


def test_limits_are_exact() -> None:
    """A head of just the limit is read, one byte more is not, at any split."""
    data = get("/", "A: bc")
    for settings, status in (
        (FrontSettings(header_limit=len(data)), None),
        (FrontSettings(header_limit=len(data) - 1), 431),
    ):
        for cut in range(1, len(data)):
            assert judge(data, (cut,), settings).status == status


def test_the_path_of_a_refusal() -> None:
    """An error of a body is told in the dialect of its path."""
    verdict = judge(get("/v1/messages?x", "Transfer-Encoding: chunked") + b"zz\r\n")
    assert (verdict.status, verdict.path) == (400, "/v1/messages")
    assert judge(get("/api/chat", "Content-Length: x")).path == "/api/chat"


@given(st.sampled_from(SEEDS), st.sampled_from(SEEDS), st.data())
def test_any_split(first: bytes, second: bytes, data: st.DataObject) -> None:
    """Two messages behind one another give one verdict however they are split."""
    both = first + second
    cuts = data.draw(st.lists(st.integers(1, len(both) - 1), max_size=6))
    assert same(judge(both, tuple(cuts)), judge(both))


WITH_IDS = [data for name, data in ACCEPTED.items() if " id" in name]
VARIED = st.sampled_from(
    [b"b", b"-", b"7", b"\r\n", b"\x00", b" ", b"\r\nX-Request-Id: c", b"\xe9"]
)


@given(st.sampled_from(WITH_IDS), st.data())
def test_a_repeated_head_is_judged_by_its_id(seed: bytes, data: st.DataObject) -> None:
    """A head that differs from a remembered one somewhere is judged as if it were the first."""
    at = data.draw(st.integers(0, len(seed)))
    second = seed[:at] + data.draw(VARIED) + seed[at + data.draw(st.integers(0, 1)) :]
    first, alone = judge(seed), judge(second)
    both = judge(seed + second)
    assert both.asked == first.asked + alone.asked
    assert both.status == alone.status


PIECES = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b":",
        b"0",
        b"1",
        b",",
        b"\x00",
        b"\xff",
        b"chunked",
        b"Content-Length: 1\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Host: y\r\n",
        b"/",
        b"GET ",
    ]
)


@given(st.sampled_from(SEEDS), st.data())
def test_any_mutation(seed: bytes, data: st.DataObject) -> None:
    """Bytes put in or taken out never crash the reader, and never split its mind."""
    at = data.draw(st.integers(0, len(seed)))
    gone = data.draw(st.integers(0, 3))
    mutated = seed[:at] + data.draw(PIECES) + seed[at + gone :] + get("/after")
    cuts = data.draw(st.lists(st.integers(1, len(mutated) - 1), max_size=4))
    assert same(judge(mutated, tuple(cuts)), judge(mutated))


@given(st.binary(max_size=200), st.integers(1, 20))
def test_any_bytes(data: bytes, step: int) -> None:
    """Nonsense is refused or waited for."""
    assert same(judge(data, tuple(range(step, len(data), step))), judge(data))


def same(one: Verdict, other: Verdict) -> bool:
    """Equal but for the words: llhttp may stop a byte earlier or later."""
    return (one.asked, one.status) == (other.asked, other.status)
