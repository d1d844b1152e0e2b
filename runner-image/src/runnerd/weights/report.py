"""Tells a pull's progress while it runs: one line on a terminal, else the log."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, TextIO

from runnerd.weights.clock import Clock
from runnerd.weights.progress import ProgressMeter, bar, line

logger = logging.getLogger(__name__)

LOG_INTERVAL: Final = 5.0
LINE_INTERVAL: Final = 0.2
_CLEAR: Final = "\r\x1b[2K"


@asynccontextmanager
async def reporting(meter: ProgressMeter, clock: Clock, stream: TextIO) -> AsyncIterator[None]:
    """Report while the block runs."""
    terminal = stream.isatty()
    task = asyncio.create_task(_draw(meter, clock, stream) if terminal else _log(meter, clock))
    try:
        yield
    finally:
        task.cancel()
        if terminal:
            stream.write(_CLEAR)
            stream.flush()


async def _draw(meter: ProgressMeter, clock: Clock, stream: TextIO) -> None:
    while True:
        progress = meter.progress()
        stream.write(_CLEAR + _cut(bar(progress) + line(progress), stream))
        stream.flush()
        await clock.sleep(LINE_INTERVAL)


def _cut(text: str, stream: TextIO) -> str:
    """As much as fits: what wraps is not cleared by the next line."""
    with suppress(OSError):
        if (width := os.get_terminal_size(stream.fileno()).columns) and len(text) >= width:
            return text[: width - 2] + "…"
    return text


async def _log(meter: ProgressMeter, clock: Clock) -> None:
    while True:
        await clock.sleep(LOG_INTERVAL)
        logger.info("%s", line(meter.progress()))
