"""The same bytes to the front, to nginx and to h11: one verdict, or a reason why not.

A verdict is which requests were taken, with their bodies, and whether the rest was refused. Behind
the bytes comes one more request, so that who loses its place among them is found out.
"""

import random
import re
from dataclasses import dataclass

import pytest

from tests.integration.gateway_http.conftest import Reader
from tests.integration.gateway_http.readers import Reading, read_as_h11
from tests.support.http_rows import ACCEPTED, REFUSED, SEEDS
from tests.support.http_wire import get

SENTINEL = get("/sentinel", "Connection: close")
ROWS = {**ACCEPTED, **{name: data for name, (_, data) in REFUSED.items()}}


@dataclass(frozen=True)
class Difference:
    """Rows in which others judge otherwise than we do, and why we do."""

    reason: str
    nginx: tuple[str, ...] = ()
    h11: tuple[str, ...] = ()


DIFFERENCES = (
    Difference(
        "A bare LF or CR as a line's end may be taken (RFC 9112 §2.2), but one reader's line end is"
        " another's data: the oldest way to smuggle.",
        nginx=(
            "bare LF in the request line",
            "bare LF after a field",
            "bare LF only",
            "bare LF at the end",
            "bare LF before",
            "bare CR before",
        ),
        h11=(
            "bare LF in the request line",
            "bare LF after a field",
            "bare LF only",
            "bare LF at the end",
        ),
    ),
    Difference(
        "A folded line must be refused or unfolded (RFC 9112 §5.2); h11 unfolds it.",
        h11=("folded field",),
    ),
    Difference(
        "Empty lines before a request are to be ignored (RFC 9112 §2.2): h11 ignores none, nginx"
        " any number, we a few.",
        nginx=("only empty lines",),
        h11=("empty line before",),
    ),
    Difference(
        "nginx leaves out a line without a colon; it is no field, so it is no request.",
        nginx=("no colon",),
    ),
    Difference(
        "A control character is in no field's value (RFC 9110 §5.5).",
        nginx=("control in a value",),
        h11=("control in a value",),
    ),
    Difference(
        "A URI is of ASCII and has no fragment on its way to a server (RFC 9112 §3.2).",
        nginx=("not ASCII in the target", "fragment in the target"),
        h11=("fragment in the target",),
    ),
    Difference(
        "Between the words of the request line is one space, and none behind (RFC 9112 §3).",
        nginx=("two spaces", "space at the end of the line"),
    ),
    Difference(
        "h11 does not look at the form of a target; nginx takes any scheme. We know http and https.",
        nginx=("other scheme",),
        h11=(
            "asterisk",
            "authority form",
            "absolute form without a host",
            "absolute form with a user",
            "other scheme",
        ),
    ),
    Difference(
        "An empty Host is right where the target has no authority (RFC 9110 §7.2); nginx wants one.",
        nginx=("host empty",),
    ),
    Difference(
        "Host is an authority (RFC 9110 §7.2); h11 does not look at it, nginx only at a part.",
        nginx=("two hosts in one",),
        h11=("host with a path", "host with a space", "two hosts in one"),
    ),
    Difference(
        "Of HTTP/0.9 there is no framing; of other versions nothing is known here.",
        nginx=("HTTP/0.9", "HTTP/1.2"),
        h11=("HTTP/1.2", "HTTP/2.0", "preface of HTTP/2"),
    ),
    Difference(
        "What nothing behind the gateway serves is not passed on (501, 405).",
        nginx=("unknown method", "method of WebDAV", "endless method"),
        h11=(
            "unknown method",
            "lower-case method",
            "method of WebDAV",
            "endless method",
            "CONNECT",
            "TRACE",
        ),
    ),
    Difference(
        "A list of equal lengths may be taken for one (RFC 9110 §8.6); we take none, as nginx.",
        h11=("list of lengths", "one length twice"),
    ),
    Difference(
        "h11 has no limits of its own, and waits for such a body.",
        h11=(
            "length beyond 64 bits",
            "length above the limit",
            "long target",
            "large head",
        ),
    ),
    Difference(
        "HTTP/1.0 has no transfer codings, so the length of this body is unknown.",
        h11=("coding of 1.0",),
    ),
    Difference(
        "An expectation that cannot be met is 417 (RFC 9110 §10.1.1); nginx and h11 do not look.",
        nginx=("unknown expectation",),
        h11=("unknown expectation", "two expectations"),
    ),
)


def same(one: Reading, other: Reading) -> bool:
    """One verdict: the status of a refusal may be another."""
    return one.taken == other.taken and (one.refused is None) == (other.refused is None)


async def test_the_rows(ours: Reader, nginx: Reader) -> None:
    """All rows agree but those that are listed, and those that are listed do differ."""
    found: dict[str, set[str]] = {"nginx": set(), "h11": set()}
    for name, data in ROWS.items():
        mine = await ours(data + SENTINEL)
        status = REFUSED[name][0] if name in REFUSED else None
        assert mine.refused == status, name
        if not same(mine, await nginx(data + SENTINEL)):
            found["nginx"].add(name)
        if not same(mine, read_as_h11(data + SENTINEL)):
            found["h11"].add(name)
    assert found["nginx"] == {name for each in DIFFERENCES for name in each.nginx}
    assert found["h11"] == {name for each in DIFFERENCES for name in each.h11}


PIECES = [
    *(b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"0", b"1", b",", b"\x00", b"\xff", b"chunked"),
    *(b"a", b"-", b"%20", b"A: b\r\n", b"?", b"=", b"3", b"abc", b";x", b"/"),
    *(b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n"),
]


def mutated(count: int) -> list[bytes]:
    """Rows with a piece put in, and bytes taken out; the same in each run."""
    chance = random.Random(20)
    found = []
    for _ in range(count):
        seed = chance.choice([*ACCEPTED.values(), chance.choice(SEEDS)])
        for _ in range(chance.randint(1, 2)):
            at = chance.randint(0, len(seed))
            seed = seed[:at] + chance.choice(PIECES) + seed[at + chance.choice((0, 0, 1, 2)) :]
        found.append(seed)
    return found


def one_is_the_others_beginning(one: Reading, other: Reading) -> bool:
    """Who stops earlier is stricter; who reads another request there is split in mind."""
    pairs = zip(one.taken, other.taken, strict=False)
    return all(_plain(mine) == _plain(theirs) for mine, theirs in pairs)


def _plain(request: tuple[str, str, bytes]) -> tuple[str, str, bytes]:
    method, path, body = request
    return method, re.sub("/+", "/", path), body


async def test_mutations(ours: Reader, nginx: Reader) -> None:
    """No bytes are one request to us and another to nginx or h11: nothing can be smuggled."""
    taken = 0
    for data in mutated(1000):
        mine = await ours(data + SENTINEL)
        taken += len(mine.taken)
        assert one_is_the_others_beginning(mine, await nginx(data + SENTINEL)), data
        assert one_is_the_others_beginning(mine, read_as_h11(data + SENTINEL)), data
    assert taken > 100


@pytest.mark.parametrize("name", ACCEPTED)
async def test_what_is_passed_on_is_what_was_asked(name: str, ours: Reader) -> None:
    """What the front makes of a request that it takes is what h11 makes of it."""
    data = ACCEPTED[name]
    mine = await ours(data + SENTINEL)
    assert mine.taken == read_as_h11(data.removeprefix(b"\r\n") + SENTINEL).taken
