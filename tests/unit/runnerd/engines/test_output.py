"""Draining an engine's output."""

import contextlib
import os

from runnerd.engines.output import LINES_KEPT, LONGEST_LINE, Output, plain, severity
from tests.support.scripted_runner import eventually


async def test_lines() -> None:
    """Lines come whole and in order, however they were written; empty ones are left out."""
    source, sink = os.pipe()
    seen: list[str] = []
    output = Output(source, seen.append)
    os.write(sink, b"one\ntw")
    await eventually(lambda: seen == ["one"])
    os.write(sink, b"o\n\n  \nthr\xffee")
    os.close(sink)
    await output.finished(5)
    assert seen == list(output.lines) == ["one", "two", "thr\ufffdee"]


async def test_bounds() -> None:
    """Only the last lines are kept, and of an endless line only its beginning."""
    source, sink = os.pipe()
    seen: list[str] = []
    output = Output(source, seen.append)
    os.set_blocking(sink, False)
    written, size = 0, 3 << 20
    block = b"x" * 65536

    def pour() -> bool:
        nonlocal written
        with contextlib.suppress(BlockingIOError):
            written += os.write(sink, block)
        return written >= size

    await eventually(pour)
    assert len(output._partial) <= LONGEST_LINE + 1
    end = b"\n" + b"".join(b"line %d\n" % i for i in range(100))

    def finish() -> bool:
        with contextlib.suppress(BlockingIOError):
            return os.write(sink, end) == len(end)
        return False

    # Shorter than PIPE_BUF: written whole or not at all.
    await eventually(finish)
    os.close(sink)
    await output.finished(5)
    assert len(seen) == 101
    assert len(seen[0]) == LONGEST_LINE
    assert list(output.lines) == [f"line {i}" for i in range(100 - LINES_KEPT, 100)]


async def test_pipe_held_by_another() -> None:
    """A pipe that somebody else keeps open is let go after the time given."""
    source, sink = os.pipe()
    output = Output(source, lambda _: None)
    os.write(sink, b"half")
    await eventually(lambda: output._partial == b"half")
    await output.finished(0.05)
    assert list(output.lines) == ["half"]
    os.close(sink)
    output.close()


async def test_requests_are_not_repeated() -> None:
    """Lines in which llama-server quotes a request go nowhere."""
    source, sink = os.pipe()
    seen: list[str] = []
    output = Output(source, seen.append)
    os.write(sink, b'0.08.231.635 W srv operator(): got exception: {"error": "my secret"}\nnext\n')
    os.close(sink)
    await output.finished(5)
    assert seen == list(output.lines) == ["next"]


async def test_debug_lines_are_not_kept() -> None:
    """With --verbose llama-server tells whole requests, which no failure may repeat."""
    source, sink = os.pipe()
    seen: list[str] = []
    output = Output(source, seen.append)
    os.write(sink, b"0.00.001.000 D request: my secret\n0.00.001.000 I model loaded\n")
    os.close(sink)
    await output.finished(5)
    assert len(seen) == 2
    assert list(output.lines) == ["0.00.001.000 I model loaded"]


def test_stamp() -> None:
    """llama-server's time and level are taken off a line."""
    assert plain("0.00.284.764 E srv  llama_server: bad") == "srv  llama_server: bad"
    assert severity("0.00.284.764 E srv  llama_server: bad") == "E"
    assert plain("AMX is not ready") == "AMX is not ready"
    assert severity("AMX is not ready") == "I"
