"""What the reader says of bytes, as a value that can be compared."""

import itertools
from dataclasses import dataclass

from modelrunner.gateway.http.reader import Ledger, Reader
from modelrunner.gateway.http.refusal import Refused
from modelrunner.gateway.http.settings import FrontSettings


@dataclass(frozen=True)
class Asked:
    """A request that was accepted."""

    method: str
    path: str
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    http11: bool
    keep_alive: bool
    id: bytes


@dataclass(frozen=True)
class Verdict:
    """All that was asked, and the status of a refusal at the end; `path` is where it was told."""

    asked: tuple[Asked, ...]
    status: int | None
    message: str
    path: str


def judge(
    data: bytes, cuts: tuple[int, ...] = (), settings: FrontSettings | None = None
) -> Verdict:
    """Feed `data`, cut at these places, until its end or a refusal."""
    ledger = Ledger(10**9)
    reader = Reader(settings or FrontSettings(), ledger)
    asked: list[Asked] = []
    places = [0, *sorted(cuts), len(data)]
    try:
        for start, end in itertools.pairwise(places):
            if not _feed(reader, data[start:end], asked):
                break
    except Refused as refused:
        verdict = Verdict(tuple(asked), refused.status, refused.message, reader.path)
    else:
        verdict = Verdict(tuple(asked), None, "", "")
    reader.release()
    assert ledger.held == 0
    return verdict


def _feed(reader: Reader, part: bytes, asked: list[Asked]) -> bool:
    """Whether the connection goes on."""
    while part:
        head = reader.feed(part)
        if head is None:
            return True
        part = reader.rest
        asked.append(
            Asked(
                head.method,
                head.path,
                head.query,
                tuple(head.headers),
                reader.body,
                head.http11,
                head.keep_alive,
                head.id,
            )
        )
        reader.release()
        if not head.keep_alive:
            return False
    return True
