"""How the files of a source are opened to be looked at, and their first bytes read."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from modelrunner_protocol.wire import WeightsFile
from runnerd.weights.failure import TransientError, WeightsError, unsupported
from runnerd.weights.source import Body, RangeNotSatisfiableError

HeaderT = TypeVar("HeaderT")

Opener = Callable[[int, int], AbstractAsyncContextManager[Body]]
"""Opens the bytes [start, stop) of the file."""

Look = Callable[[bytearray, int], HeaderT | int]
"""Given the first bytes of a file and the size of all of it: its header, or how many of its first
bytes that needs, which are more."""


class FileOpener(Protocol):
    """A source's `open`, without a validator."""

    def __call__(
        self, file: WeightsFile, *, start: int = 0, stop: int | None = None
    ) -> AbstractAsyncContextManager[Body]:
        """Open the bytes [start, stop) of one of several files: see `WeightsSource.open`."""


@dataclass(frozen=True, slots=True)
class Head(Generic[HeaderT]):
    """What a file's first bytes told: `size` is bytes of the whole file."""

    header: HeaderT
    size: int
    etag: str


async def read_head(
    open_range: Opener, where: str, first: int, look: "Look[HeaderT]"
) -> Head[HeaderT]:
    """The header of a file; of what is behind it not more than comes along.

    Args:
        open_range: Opens a part of the file.
        where: The file in words.
        first: Bytes that are asked for first.
        look: Raises what is wrong with the bytes.

    Raises:
        WeightsError: it is empty, or the server tells no length; or as `look` says.
        TransientError: trying again may help.
    """
    data, etag, wanted = bytearray(), "", first
    while True:
        asked = wanted
        try:
            async with open_range(len(data), asked) as body:
                size = _length_of(body, where)
                if body.start != len(data):
                    # Who serves no ranges sends all of it again.
                    data.clear()
                if body.start > len(data) or (etag and body.etag != etag):
                    raise TransientError("the file changed while it was read")
                etag = body.etag
                async for chunk in body.chunks:
                    data += chunk
                    if len(data) < min(wanted, size):
                        continue
                    found = look(data, size)
                    if not isinstance(found, int):
                        return Head(found, size, etag)
                    wanted = found
        except RangeNotSatisfiableError:
            raise _empty(where) from None
        if not size:
            raise _empty(where)
        if len(data) < min(asked, size):
            raise TransientError("the server sent fewer bytes than it announced")


def _empty(where: str) -> WeightsError:
    return unsupported(f"{where} is empty: upload the file again")


def _length_of(body: Body, where: str) -> int:
    """Bytes of the whole file that a body is of."""
    if body.total is None:
        raise WeightsError(
            f"{where}: the server does not tell the file's length: it has to send "
            "Content-Length or to support ranges"
        )
    return body.total
