"""Reading a request's body within bounds."""

import asyncio
from collections.abc import Callable

from aiohttp import web

from runnerd.server.dialects import Rejection, reject

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Body:
    """A request's body; `size` is what `hold` granted for it, whatever happened."""

    def __init__(self, request: web.BaseRequest, hold: Callable[[int], bool]) -> None:
        """`hold` takes bytes from the account of all bodies; False: there is no room."""
        self._request = request
        self._hold = hold
        self.size = 0
        self.crowded = False

    async def read(self, *, limit: int, timeout: float) -> bytes | Rejection:
        """The whole body of at most `limit` bytes, arrived within `timeout` seconds.

        When there is no room for it, `crowded` is set and the answer is a 429.
        """
        request = self._request
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            return reject(415, "A compressed body is not supported: send it plainly")
        if (length := request.content_length) is not None and length > limit:
            return _too_large(limit)
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(_CONTINUE)
            # The head of the answer proper is still to come.
            request.writer.output_size = 0
        if request.content.is_eof():
            # The usual case: it came with the head, and waiting needs no clock.
            return await self._collect(limit)
        try:
            async with asyncio.timeout(timeout):
                return await self._collect(limit)
        except TimeoutError:
            return reject(408, f"The body did not arrive within {timeout:g} s")
        except web.RequestPayloadError:
            return reject(400, "The body is cut short or not encoded as its head says")

    async def _collect(self, limit: int) -> bytes | Rejection:
        content, chunks = self._request.content, []
        while chunk := await content.readany():
            if self.size + len(chunk) > limit:
                return _too_large(limit)
            if not self._hold(len(chunk)):
                self.crowded = True
                return reject(429, "Too many large requests at once: try again")
            self.size += len(chunk)
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(limit: int) -> Rejection:
    return reject(413, f"The body is larger than {limit} bytes")
