"""How much one request asks for, and how many of them there are at a time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from modelrunner_protocol.wire import WeightsFile
from runnerd.weights import parts
from runnerd.weights.clock import SystemClock
from runnerd.weights.partial import PIECE, PartialFile
from runnerd.weights.parts import Parts, pieces_worth_asking
from runnerd.weights.retry import Patience, Retrier
from runnerd.weights.source import Body

MIB = 1024 * 1024
FILE = WeightsFile(path="m.gguf", size_bytes=64 * 1000, sha256="0" * 64)
CONNECTIONS = 4


def test_quick_answers_make_short_parts() -> None:
    """On a network where asking costs nothing, connections stay together."""
    assert pieces_worth_asking(waited=0.001, took=0.05, came=PIECE) == 1


def test_slow_answers_make_long_parts() -> None:
    """150 ms for an answer, then 50 MiB a second: it goes on for at least 20 times as long."""
    pieces = pieces_worth_asking(waited=0.15, took=1.0, came=50 * MIB)
    assert 3.0 <= pieces * PIECE / (50 * MIB) < 4.0


def test_a_body_that_was_there_at_once() -> None:
    """No time at all is no division by nothing."""
    assert pieces_worth_asking(waited=0.0, took=0.0, came=PIECE) == 1


class _Source:
    """Any bytes at once; `asked` counts the requests of each connection."""

    def __init__(self, before: Callable[[], Awaitable[None]] | None = None) -> None:
        self.asked: Counter[asyncio.Task[Any]] = Counter()
        self._before = before

    @asynccontextmanager
    async def open(
        self, file: WeightsFile, *, start: int, stop: int, validator: str
    ) -> AsyncIterator[Body]:
        task = asyncio.current_task()
        assert task
        self.asked[task] += 1
        if self._before:
            await self._before()

        async def chunks() -> AsyncIterator[bytes]:
            yield bytes(stop - start)

        total = file.size_bytes
        yield Body(start=start, total=total, etag="", validator=validator, chunks=chunks())


async def _fetched(source: Any, folder: Path) -> None:
    async def on_bytes(_: int) -> None:
        pass

    retrier = Retrier(what="x", patience=Patience(limit=30.0, clock=SystemClock()))
    async with PartialFile(folder / "p", FILE.path, FILE.size_bytes) as partial:
        await partial.recover()
        work = Parts(source=source, file=FILE, partial=partial, retrier=retrier, on_bytes=on_bytes)
        await work.run(CONNECTIONS)
        assert partial.size == FILE.size_bytes


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces are small, and any processor time passes for all of it."""
    monkeypatch.setattr(parts, "PIECE", 1000)
    monkeypatch.setattr(parts, "_LONGEST", 1)
    monkeypatch.setattr(parts, "_BUSY", -1.0)


@pytest.mark.usefixtures("busy")
async def test_one_that_keeps_the_machine_busy_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others fetch one part each, and wait; they do not hold up the end."""
    monkeypatch.setattr(parts, "_FAST", 0)
    monkeypatch.setattr(parts, "_LOOK", 3600.0)
    source = _Source()
    await _fetched(source, tmp_path)
    assert sorted(source.asked.values()) == [1, 1, 1, 61]


@pytest.mark.usefixtures("busy")
async def test_one_that_is_held_up_is_helped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once bytes come slowly the others go on, whatever was measured before, and stay."""
    monkeypatch.setattr(parts, "_LOOK", 0.01)
    monkeypatch.setattr(parts, "_FAST", float("inf"))
    helped = asyncio.Event()

    async def before() -> None:
        first = next(iter(source.asked))
        if sum(source.asked.values()) - source.asked[first] >= 60:
            helped.set()
        if asyncio.current_task() is first and source.asked[first] > 1:
            await helped.wait()

    waits = 0

    async def counted(work: Parts) -> None:
        nonlocal waits
        waits += 1
        await until_needed(work)

    until_needed = Parts._until_needed
    monkeypatch.setattr(Parts, "_until_needed", counted)
    source = _Source(before)
    await _fetched(source, tmp_path)
    assert len(source.asked) == CONNECTIONS
    assert waits < CONNECTIONS


async def test_a_network_that_is_waited_for_gets_all_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for anybody."""
    monkeypatch.setattr(parts, "PIECE", 1000)
    monkeypatch.setattr(parts, "_BUSY", 1e9)
    monkeypatch.setattr(parts, "_LOOK", 3600.0)
    source = _Source()
    await _fetched(source, tmp_path)
    assert len(source.asked) == CONNECTIONS
    assert min(source.asked.values()) > 1
