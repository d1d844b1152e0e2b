"""Lines reach their reader in order, and a reader that stands still stops nobody."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelrunner.gateway.telemetry.line_writer import LineWriter


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe's two ends."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


async def test_lines_are_written_in_order_and_at_the_end(tmp_path: Path) -> None:
    """Closing writes what waits."""
    with (tmp_path / "log").open("wb") as file:
        writer = LineWriter(file.fileno(), asyncio.get_running_loop())
        for number in range(1000):
            writer.write(b"%d\n" % number)
        writer.close()
    assert (tmp_path / "log").read_bytes().split() == [b"%d" % number for number in range(1000)]
    assert writer.dropped == 0


async def test_lines_come_without_being_asked_for(pipe: tuple[int, int]) -> None:
    """A tenth of a second later, whatever else happens."""
    loop = asyncio.get_running_loop()
    writer = LineWriter(pipe[1], loop)
    writer.write(b"one\n")
    assert await loop.run_in_executor(None, os.read, pipe[0], 100) == b"one\n"
    writer.close()


async def test_a_reader_that_stands_still_costs_lines_not_memory(pipe: tuple[int, int]) -> None:
    """Beyond the backlog they are dropped and counted; the loop does not wait."""
    loop = asyncio.get_running_loop()
    writer = LineWriter(pipe[1], loop, backlog=1 << 20)
    line = b"x" * 1023 + b"\n"
    for _ in range(2000):
        writer.write(line)
    assert writer.dropped == 2000 - 1024
    reading = loop.run_in_executor(None, _drain, pipe[0], 1 << 20)
    writer.close()
    await reading


async def test_a_reader_that_is_gone_is_no_error(pipe: tuple[int, int], tmp_path: Path) -> None:
    """The lines are counted as dropped."""
    read_only = os.open(os.devnull, os.O_RDONLY)
    writer = LineWriter(read_only, asyncio.get_running_loop())
    writer.write(b"one\n")
    writer.write(b"two\n")
    writer.close()
    os.close(read_only)
    assert writer.dropped == 2


def _drain(end: int, count: int) -> None:
    while count:
        count -= len(os.read(end, 1 << 16))
