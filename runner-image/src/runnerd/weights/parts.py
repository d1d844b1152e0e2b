"""Parts of one file, fetched side by side, each over a connection of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from time import process_time
from typing import Final

from modelrunner_protocol.wire import WeightsFile
from runnerd.weights.failure import TransientError
from runnerd.weights.partial import PIECE, PartialFile
from runnerd.weights.ranges import Ranges
from runnerd.weights.retry import Retrier
from runnerd.weights.source import Body, WeightsSource

_LONGEST: Final = 16
"""Pieces that one request asks for at most."""

_WORTH: Final = 20
"""A request shall take so many times as long as the wait for its answer."""

_BUSY: Final = 0.8
"""Seconds of processor time in a second from which on the pull is held up by this machine itself."""

_LOOK: Final = 0.25
_FAST: Final = 64 * 1024 * 1024
"""Bytes a second; with fewer of them one connection is not enough, whatever holds it up."""


class IndivisibleError(Exception):
    """The server sends other bytes than the part that was asked for: it has to come in order."""


@dataclass(slots=True)
class _Place:
    """What is left of a part."""

    at: int
    stop: int


class Parts:
    """Brings a partial file to its full length over several connections.

    Where the processor is what holds them up, one is left alone: what comes in order is hashed as it
    comes, and the others would only take their share. Once that has proved wrong it is not tried
    again: neither a network nor a disk is waited for by one.

    Args:
        file: What is expected.
        partial: Has a validator, or the file a known sha256: else nothing ties parts together.
        retrier: Shared: while one connection comes further, the others may fail.
        on_bytes: Told how many more bytes came.
    """

    def __init__(
        self,
        *,
        source: WeightsSource,
        file: WeightsFile,
        partial: PartialFile,
        retrier: Retrier,
        on_bytes: Callable[[int], Awaitable[None]],
    ) -> None:
        self._source = source
        self._file = file
        self._partial = partial
        self._retrier = retrier
        self._on_bytes = on_bytes
        self._claimed = Ranges()
        self._whole = asyncio.Event()
        self._longest = 1
        self._came = 0
        self._busy = False
        self._all_needed = False
        self._etag = ""

    async def run(self, connections: int) -> str:
        """Fetch what is missing.

        Returns:
            The entity tag as sent.

        Raises:
            IndivisibleError: the source cannot serve ranges of one version; what came in order is kept.
            RangeNotSatisfiableError: the source says that the file ends before a part.
            WeightsError: it cannot be done.
            OSError: the volume failed.
        """
        self._claimed = Ranges(await self._partial.out_of_order())
        left = self._file.size_bytes - self._claimed.total
        # Short enough that all connections have something to do until the end.
        fair = left // (2 * connections * PIECE)
        self._longest = max(1, min(_LONGEST, fair))
        await _all(asyncio.create_task(self._work(number)) for number in range(connections))
        return self._etag

    async def _work(self, number: int) -> None:
        pieces = 1
        while part := self._claimed.gap(0, self._file.size_bytes, pieces * PIECE):
            self._claimed.add(*part)
            place = _Place(*part)
            while place.at < place.stop:
                try:
                    pieces = min(self._longest, await self._fetch(place))
                except TransientError as error:
                    await self._retrier.pause(error)
            if number and self._busy and not self._all_needed:
                await self._until_needed()
        self._whole.set()

    async def _until_needed(self) -> None:
        while not self._whole.is_set():
            before = self._came
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._whole.wait()
            slow = self._came - before < _FAST * _LOOK
            if self._all_needed or slow or not self._busy:
                self._all_needed = True
                return

    async def _fetch(self, place: _Place) -> int:
        """The bytes from where it is to its end; as many as come.

        Returns:
            How many pieces are worth the next request.
        """
        start, clock = place.at, asyncio.get_running_loop().time
        asked = clock()
        async with self._source.open(
            self._file, start=start, stop=place.stop, validator=self._partial.validator
        ) as body:
            await self._check(body, start)
            answered, spent = clock(), process_time()
            async for chunk in body.chunks:
                # Who serves no ranges goes on to the end of the file.
                wanted = chunk[: place.stop - place.at]
                await self._partial.write(wanted, place.at)
                place.at += len(wanted)
                self._came += len(wanted)
                await self._on_bytes(len(wanted))
                if place.at == place.stop:
                    break
        if place.at < place.stop:
            raise TransientError(f"the server ended {place.stop - place.at} bytes early")
        took = clock() - answered
        self._busy = process_time() - spent > _BUSY * took
        return pieces_worth_asking(answered - asked, took, place.at - start)

    async def _check(self, body: Body, start: int) -> None:
        expected, partial = self._file.size_bytes, self._partial
        if body.total not in {None, expected}:
            raise IndivisibleError(f"it has {body.total} bytes instead of {expected}")
        if body.start != start:
            raise IndivisibleError("the server serves no ranges, or the file changed")
        if body.validator != partial.validator:
            if partial.validator:
                raise IndivisibleError("the file changed")
            await partial.identify(body.validator)
        self._etag = body.etag


def pieces_worth_asking(waited: float, took: float, came: int) -> int:
    """Pieces that a request should ask for, so that the wait for its answer is a small share.

    Where answers are quick the parts are short: connections stay together, what came is soon in
    one piece, and can be hashed.

    Args:
        waited: Seconds between the last request and its answer.
        took: Seconds that its body took.
        came: Bytes of that body.
    """
    return 1 + int(_WORTH * waited * came / max(took, 1e-3) / PIECE)


async def _all(work: Iterable["asyncio.Task[None]"]) -> None:
    """Wait for all; the first failure ends the others and is raised."""
    tasks = list(work)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()):
            raise error
