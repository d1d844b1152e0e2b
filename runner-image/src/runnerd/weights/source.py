"""The seam between the pull engine and the places that hold weights.

A source is resolved first and then read by byte ranges. The engine needs nothing else, so
another kind of source is one more module beside `http`, and several ranges of one file can
be read at once.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from modelrunner_protocol.wire import Artifact, WeightsFile
from runnerd.weights.failure import WeightsError

Chunk = bytes | memoryview


class RangeNotSatisfiableError(Exception):
    """The asked range starts behind the file's end. `total` is its length, if told."""

    def __init__(self, total: int | None) -> None:
        super().__init__("the range starts behind the file's end")
        self.total = total


class WrongDigestError(WeightsError):
    """The bytes are not the ones that were asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The bytes of a file from `start` on.

    Attributes:
        start: The offset of the first byte; 0 when the source cannot serve ranges.
        total: Bytes of the whole file, None when the source does not tell.
        etag: The entity tag as sent, "" when there is none.
        validator: What ties two ranges to one version of the file (a strong entity tag or
            a modification date), "" when there is nothing.
        chunks: The bytes, in pieces of any size, each valid until the next one is asked for.
            Raises TransientError when they end early.
    """

    start: int
    total: int | None
    etag: str
    validator: str
    chunks: AsyncIterator[Chunk]


class WeightsSource(Protocol):
    """A place that holds weights."""

    async def resolve(self) -> Artifact:
        """Find out what the source holds, without reading all of it.

        Raises:
            WeightsError: nothing there, or nothing that can be run.
        """

    async def files(self, expected: Artifact) -> tuple[WeightsFile, ...]:
        """All files of what was resolved, with every digest that can be known beforehand.

        Raises:
            WeightsError: the source does not hold it any more.
            TransientError: trying again may help.
        """

    def open(
        self, file: WeightsFile, *, start: int = 0, stop: int | None = None, validator: str = ""
    ) -> AbstractAsyncContextManager[Body]:
        """Read bytes [start, stop) of a file; all that follow `start` when `stop` is None.

        With a `validator` the range is only served if the file is still the same version;
        else the body starts at 0.

        Raises:
            RangeNotSatisfiableError: `start` is not inside the file.
            TransientError: trying again may help.
            WeightsError: it will not.
        """

    def mismatch(self, file: WeightsFile, found: str) -> WrongDigestError:
        """The failure to tell when a file has the sha256 `found` instead of its own."""
