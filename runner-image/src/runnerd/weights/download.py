"""Fetches one file into the partial folder, whatever the network does."""

import logging
from pathlib import Path
from typing import Final

from modelrunner_protocol.wire import WeightsFile
from runnerd.weights.failure import TransientError, WeightsError
from runnerd.weights.pace import Pace
from runnerd.weights.partial import PIECE, PartialFile
from runnerd.weights.parts import IndivisibleError, Parts
from runnerd.weights.progress import ProgressMeter
from runnerd.weights.retry import Retrier
from runnerd.weights.source import Body, Chunk, RangeNotSatisfiableError, WeightsSource

logger = logging.getLogger(__name__)

_MOST_REFUSED_RANGES: Final = 1
_STAT_BLOCK: Final = 512


class SourceChangedError(WeightsError):
    """The source holds another file than the one that was resolved."""

    def __init__(self, where: str, expected: int, found: int) -> None:
        super().__init__(
            f"{where} changed since it was resolved: it had {expected} bytes and now has {found}",
            retryable=True,
        )


class Download:
    """Brings a partial file to its full length.

    Args:
        where: The source in words.
        file: What is expected; `sha256` is "" when nobody knows it.
        retrier: Its progress is a new furthest byte: starting over again and again is none.
        pace: How fast bytes may come.
        connections: Parts of a large file are fetched side by side over so many.
    """

    def __init__(
        self,
        *,
        source: WeightsSource,
        where: str,
        file: WeightsFile,
        partial: PartialFile,
        meter: ProgressMeter,
        retrier: Retrier,
        pace: Pace,
        connections: int = 1,
    ) -> None:
        self._source = source
        self._where = where
        self._file = file
        self._partial = partial
        self._meter = meter
        self._retrier = retrier
        self._pace = pace
        self._connections = connections
        self._furthest = partial.held
        self._received = partial.size
        self._refused = 0
        self._in_parts = True
        self.etag = ""

    async def run(self) -> None:
        """Download what is missing.

        Raises:
            WeightsError: it cannot be done; the partial file is kept where it may help.
            OSError: the volume failed.
        """
        self._retrier.begin()
        while self._partial.size < self._file.size_bytes:
            try:
                if self._divisible():
                    await self._together()
                else:
                    await self._partial.in_order()
                    await self._attempt()
            except IndivisibleError as error:
                logger.info("%s: %s: fetching it in one piece", self._where, error)
                self._in_parts = False
            except RangeNotSatisfiableError as error:
                await self._refuse(error)
            except TransientError as error:
                self._note_progress()
                await self._retrier.pause(error)

    def _divisible(self) -> bool:
        """Whether parts save time or bytes, and something ties them together."""
        partial = self._partial
        tied = bool(partial.validator or self._file.sha256)
        faster = self._connections > 1 and self._file.size_bytes - partial.held >= 2 * PIECE
        # In order, what is there behind a hole would come again.
        ahead = partial.held > partial.size
        return self._in_parts and tied and (faster or ahead)

    async def _together(self) -> None:
        parts = Parts(
            source=self._source,
            file=self._file,
            partial=self._partial,
            retrier=self._retrier,
            on_bytes=self._took,
        )
        self._meter.downloading(self._partial.held)
        self.etag = await parts.run(self._connections) or self.etag

    async def _took(self, count: int) -> None:
        self._meter.add(count)
        self._note_progress()
        await self._pace.spend(count)

    async def _attempt(self) -> None:
        partial = self._partial
        if partial.size and not (partial.validator or self._file.sha256):
            # Nothing ties the two halves to one version, and nothing would notice.
            logger.info("%s has no ETag and no known sha256: starting over", self._where)
            await partial.restart()
        start, validator = partial.size, partial.validator
        async with self._source.open(self._file, start=start, validator=validator) as body:
            await self._accept(body)
            self._meter.downloading(partial.size)
            async for chunk in body.chunks:
                await self._take(chunk)
        self._note_progress()
        if partial.size < self._file.size_bytes:
            raise TransientError(
                f"the server ended after {partial.size} of {self._file.size_bytes} bytes"
            )

    async def _accept(self, body: Body) -> None:
        """Make the partial file fit what the source serves now."""
        partial, expected = self._partial, self._file.size_bytes
        if body.total is not None and body.total != expected:
            raise SourceChangedError(self._where, expected, body.total)
        changed = bool(partial.size and body.validator != partial.validator)
        if body.start == partial.size and not changed:
            await partial.identify(body.validator)
        elif body.start == 0:
            if partial.size:
                why = "the file changed" if changed else "the server serves no ranges"
                logger.warning("%s: %s: starting over", self._where, why)
            await partial.restart(body.validator)
        else:
            await partial.restart()
            raise TransientError("the file changed while it was downloaded")
        self._received = partial.size
        self.etag = body.etag

    async def _take(self, chunk: Chunk) -> None:
        expected = self._file.size_bytes
        self._received += len(chunk)
        if self._received > expected:
            raise TooLongError(
                f"{self._where} sends more than the {expected} bytes that it announced: "
                "mend the server, or name another source"
            )
        await self._partial.write(chunk, self._partial.size)
        await self._took(len(chunk))

    def _note_progress(self) -> None:
        if self._partial.held > self._furthest:
            self._furthest = self._partial.held
            self._retrier.progressed()

    async def _refuse(self, error: RangeNotSatisfiableError) -> None:
        """A 416: what is on the volume is no part of what the source holds now."""
        expected = self._file.size_bytes
        if error.total is not None and error.total != expected:
            raise SourceChangedError(self._where, expected, error.total) from error
        self._refused += 1
        if self._refused > _MOST_REFUSED_RANGES:
            raise WeightsError(
                f"{self._where}: the server refuses ranges inside the file's {expected} bytes (416)",
                retryable=True,
            ) from error
        logger.warning("%s refused the range: starting over", self._where)
        await self._partial.restart()


class TooLongError(WeightsError):
    """More bytes came than the file has."""


async def verify(partial: PartialFile, file: WeightsFile, source: WeightsSource) -> str:
    """Put a complete partial file on the disk and compare its sha256.

    Returns:
        The sha256 in hex.

    Raises:
        WrongDigestError: it differs from the known one.
        OSError: the volume failed.
    """
    found = await partial.finish()
    if file.sha256 and found != file.sha256.lower():
        raise source.mismatch(file, found)
    return found


def partial_size(folder: Path, name: str) -> int:
    """Bytes that a file in the partial folder holds; 0 when it is not there."""
    try:
        found = (folder / name).lstat()
    except OSError:
        return 0
    # What comes out of order leaves holes, which hold nothing yet.
    return min(found.st_size, found.st_blocks * _STAT_BLOCK)
