"""Takes a body straight off its connection: into two blocks in turn, without a copy.

The client library makes an object of each few KiB, and joins and slices them; on a fast network
that is most of the work. It is left the part that is difficult: proxies, certificates, redirects
and headers.
"""

import asyncio
from typing import Final, Self

import aiohttp
from aiohttp.client_proto import ResponseHandler

BLOCK: Final = 1024 * 1024
"""Bytes of a block. Two of them for each connection is all that the bytes in flight take."""

# Blocks of a slow connection are given on before they are full: nobody shall wait to see them.
_PATIENCE: Final = 0.1


class Intake(asyncio.BufferedProtocol):
    """The bytes that are left of a body of known length.

    Args:
        handler: The client library's own end of the connection, which hears of its end.
        left: How many bytes have yet to come.
        stall: Seconds without a byte after which the connection is dead; None: never.
    """

    def __init__(
        self,
        handler: ResponseHandler,
        transport: asyncio.Transport,
        left: int,
        stall: float | None,
    ) -> None:
        self._handler = handler
        self._transport = transport
        self._left = left
        self._stall = stall
        self._filling, self._lent = memoryview(bytearray(BLOCK)), memoryview(bytearray(BLOCK))
        self._filled = 0
        self._error: Exception | None = None
        self._news = asyncio.Event()

    @classmethod
    def instead(cls, response: aiohttp.ClientResponse) -> Self | None:
        """Take over a connection of which the client library has handed out all that came.

        Returns:
            None where the length is not told or little is left: the library goes on, and may use
            the connection again.
        """
        connection, length = response.connection, response.content_length
        if connection is None or length is None or "Transfer-Encoding" in response.headers:
            return None
        handler, transport = connection.protocol, connection.transport
        left = length - response.content.total_bytes
        if handler is None or transport is None or transport.is_closing() or left <= BLOCK:
            return None
        # It also ends the library's own watch over the silence.
        handler.pause_reading()
        self = cls(handler, transport, left, handler.read_timeout)
        transport.set_protocol(self)
        transport.resume_reading()
        return self

    async def take(self) -> memoryview:
        """The next bytes, valid until the ones after them are asked for; empty at the end.

        Raises:
            OSError: the connection broke off; all that came was given before.
            TimeoutError: nothing came for too long.
        """
        asked = asyncio.get_running_loop().time()
        while self._left and self._filled < BLOCK and self._error is None:
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self._news.wait()
            except TimeoutError:
                if self._filled:
                    break
                silent = asyncio.get_running_loop().time() - asked
                if self._stall and silent >= self._stall:
                    raise
        return self._swap()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the transport's guess
        """Where the next bytes go."""
        return self._filling[self._filled : self._filled + self._left]

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came."""
        self._filled += nbytes
        self._left -= nbytes
        if self._filled == BLOCK or not self._left:
            self._transport.pause_reading()
            self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """No more will come."""
        self._error = exc or ConnectionResetError(0, "it ended early")
        self._news.set()
        self._handler.connection_lost(exc)

    def _swap(self) -> memoryview:
        count, self._filled = self._filled, 0
        if not count and self._left and self._error is not None:
            raise self._error
        self._filling, self._lent = self._lent, self._filling
        if self._left and self._error is None:
            self._news.clear()
            self._transport.resume_reading()
        return self._lent[:count]
