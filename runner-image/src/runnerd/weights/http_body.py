"""The body of an HTTP answer as the pull engine reads it."""

from collections.abc import AsyncIterator

import aiohttp

from runnerd.weights.failure import TransientError
from runnerd.weights.http_intake import Intake
from runnerd.weights.http_session import reason_of
from runnerd.weights.http_status import content_range, is_strong
from runnerd.weights.source import Body, Chunk, RangeNotSatisfiableError


def body_of(response: aiohttp.ClientResponse, start: int, *, validator: str = "") -> Body:
    """The body of a 200, 206 or 416 to a request for the bytes from `start` on.

    Args:
        response: Its body is not read yet.
        start: The first byte that was asked for.
        validator: The digest of what was asked for by its digest: nothing else ties ranges
            together, and the server's own tags mean nothing.

    Raises:
        RangeNotSatisfiableError: a 416.
        TransientError: the server sends another range than asked for.
    """
    headers = response.headers
    first, total = content_range(headers.get("Content-Range"))
    if response.status == 416:
        raise RangeNotSatisfiableError(total)
    if response.status == 200:
        first, total = 0, response.content_length
    elif first is None:
        raise TransientError("the server does not tell which bytes it sends (Content-Range)")
    elif first != start:
        raise TransientError(f"the server sent bytes from {first} when asked for {start}")
    etag = _plain(headers.get("ETag", ""))
    dated = etag if is_strong(etag) else _plain(headers.get("Last-Modified", ""))
    return Body(
        start=first or 0,
        total=total,
        etag="" if validator else etag,
        validator=validator or dated,
        chunks=_chunks(response),
    )


def _plain(value: str) -> str:
    """A header that can be noted and sent again; "" for bytes that are no text."""
    return value if value.isascii() and value.isprintable() else ""


def range_header(start: int, stop: int | None) -> dict[str, str]:
    """The header that asks for bytes [start, stop); none for all of them."""
    if not start and stop is None:
        return {}
    return {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"}


async def read_whole(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """A small body; of a longer one `limit` bytes and one more.

    Raises:
        TransientError: it ends early.
    """
    data = bytearray()
    async for chunk in _chunks(response):
        data += chunk
        if len(data) > limit:
            break
    return bytes(data[: limit + 1])


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[Chunk]:
    """Whatever has arrived, at most a block at a time."""
    content = response.content
    try:
        # Nothing is awaited between the two, so nothing comes in between.
        came = b"".join(iter(content.read_nowait, b"")) if response.connection else b""
        intake = Intake.instead(response)
        if came:
            yield came
        while chunk := await (intake.take() if intake else content.readany()):
            yield chunk
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        # Or a connection that breaks after every few bytes would never come further.
        if rest := _received(content):
            yield rest
        raise TransientError(f"the connection broke off ({reason_of(error)})") from error


def _received(content: aiohttp.StreamReader) -> bytes:
    """What came before the connection broke, which the reader hides behind the error."""
    content.set_exception(None)  # type: ignore[arg-type]  # what it is before an error
    return content.read_nowait()
