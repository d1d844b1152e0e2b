"""How the files of a source are opened to be looked at, and how long they are."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from modelrunner_protocol.wire import WeightsFile
from runnerd.weights.failure import WeightsError
from runnerd.weights.source import Body

Opener = Callable[[int, int], AbstractAsyncContextManager[Body]]
"""Opens the bytes [start, stop) of the file."""


class FileOpener(Protocol):
    """A source's `open`, without a validator."""

    def __call__(
        self, file: WeightsFile, *, start: int = 0, stop: int | None = None
    ) -> AbstractAsyncContextManager[Body]:
        """Open the bytes [start, stop) of one of several files: see `WeightsSource.open`."""


def length_of(body: Body, where: str) -> int:
    """Bytes of the whole file that a body is of.

    Raises:
        WeightsError: the server does not tell.
    """
    if body.total is None:
        raise WeightsError(
            f"{where}: the server does not tell the file's length: it has to send "
            "Content-Length or to support ranges"
        )
    return body.total
