"""Reads the GGUF header of a file somewhere else, by ranges."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from runnerd.weights import formats, gguf
from runnerd.weights.failure import TransientError, WeightsError, unsupported
from runnerd.weights.source import Body, RangeNotSatisfiableError

FIRST_HEADER_READ: Final = 2 * 1024 * 1024
"""Bytes that are asked for first; the header of a model with 49,000 tokens fits."""

Opener = Callable[[int, int], AbstractAsyncContextManager[Body]]
"""Opens the bytes [start, stop) of the file."""


@dataclass(frozen=True, slots=True)
class RemoteHeader:
    """What a file's first bytes told: `size` is bytes of the whole file."""

    header: gguf.GgufHeader
    size: int
    etag: str


async def read_remote_header(open_range: Opener, where: str) -> RemoteHeader:
    """The header of a GGUF model; of its weights not more than comes along.

    Raises:
        WeightsError: not a GGUF model, or a server that tells no length.
        TransientError: trying again may help.
    """
    data, etag, wanted = bytearray(), "", FIRST_HEADER_READ
    while True:
        try:
            async with open_range(len(data), wanted) as body:
                size = _length(body, where)
                if body.start != len(data) or (data and body.etag != etag):
                    raise TransientError("the file changed while it was read")
                etag = body.etag
                header = await _scan(body, data, size, wanted)
        except RangeNotSatisfiableError:
            raise unsupported(f"{where} is empty: upload the file again") from None
        except gguf.GgufError as error:
            raise formats.not_gguf(where, bytes(data[:64]), error) from error
        if header is not None:
            formats.check_model(where, header)
            return RemoteHeader(header, size, etag)
        wanted = min(len(data) * 4, gguf.HEADER_LIMIT)


def _length(body: Body, where: str) -> int:
    if body.total is None:
        raise WeightsError(
            f"{where}: the server does not tell the file's length: it has to send "
            "Content-Length or to support ranges"
        )
    return body.total


async def _scan(body: Body, data: bytearray, size: int, wanted: int) -> gguf.GgufHeader | None:
    """Append the body to `data` until the header is there; None when the range was too short."""
    enough = min(wanted, size)
    async for chunk in body.chunks:
        data += chunk
        if len(data) < enough:
            continue
        try:
            return gguf.parse(data, size)
        except gguf.TruncatedError:
            # Each look starts from the beginning, so only after the prefix has grown fourfold.
            enough = min(len(data) * 4, gguf.HEADER_LIMIT, size)
    if size == 0:
        raise RangeNotSatisfiableError(0)
    if len(data) < min(wanted, size):
        raise TransientError("the server sent fewer bytes than it announced")
    return None
