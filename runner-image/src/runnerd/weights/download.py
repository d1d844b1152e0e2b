"""Fetches one file into the partial folder, whatever the network does."""

import logging
from pathlib import Path
from typing import Final

from modelrunner_protocol.wire import WeightsFile
from runnerd.weights.failure import TransientError, WeightsError
from runnerd.weights.partial import PartialFile
from runnerd.weights.progress import ProgressMeter
from runnerd.weights.retry import Retrier
from runnerd.weights.source import Body, RangeNotSatisfiableError, WeightsSource

logger = logging.getLogger(__name__)

_MOST_REFUSED_RANGES: Final = 1


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
    ) -> None:
        self._source = source
        self._where = where
        self._file = file
        self._partial = partial
        self._meter = meter
        self._retrier = retrier
        self._furthest = partial.size
        self._received = partial.size
        self._refused = 0
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
                await self._attempt()
            except RangeNotSatisfiableError as error:
                await self._refuse(error)
            except TransientError as error:
                await self._partial.settle()
                self._note_progress()
                await self._retrier.pause(error)

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
            await partial.settle()
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

    async def _take(self, chunk: bytes) -> None:
        expected = self._file.size_bytes
        self._received += len(chunk)
        if self._received > expected:
            raise TooLongError(
                f"{self._where} sends more than the {expected} bytes that it announced: "
                "mend the server, or name another source"
            )
        await self._partial.write(chunk)
        self._meter.add(len(chunk))
        self._note_progress()

    def _note_progress(self) -> None:
        if self._partial.size > self._furthest:
            self._furthest = self._partial.size
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
    """Bytes of a file in the partial folder; 0 when it is not there."""
    try:
        return (folder / name).lstat().st_size
    except OSError:
        return 0
