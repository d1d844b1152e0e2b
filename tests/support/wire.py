"""A wire to a server that a test can cut or mute: what an outage looks like from one side only."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Wire:
    """Forwards TCP connections on `port` of loopback to `target` as long as it is whole.

    `opened` counts the connections that it has let through.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        self.opened = 0
        self._target = target
        self._whole = True
        self._speaking = asyncio.Event()
        self._speaking.set()
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def to(cls, target: int) -> AsyncIterator["Wire"]:
        """A wire to a port of loopback; gone with the block."""
        wire = cls(target)
        server = await asyncio.start_server(wire._accept, "127.0.0.1", 0)
        wire.port = server.sockets[0].getsockname()[1]
        async with server:
            yield wire
            server.close()
            wire.cut()
            await asyncio.gather(*wire._tasks, return_exceptions=True)

    def cut(self) -> None:
        """End all connections at once, and accept no new one until `mend`."""
        self._whole = False
        for task in self._tasks:
            task.cancel()

    def mend(self) -> None:
        """Let new connections through again."""
        self._whole = True

    def mute(self) -> None:
        """Pass nothing on any more, and end nothing: the far machine lost its power."""
        self._speaking.clear()

    def speak(self) -> None:
        """Pass on again, what was kept back first."""
        self._speaking.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if self._whole:
                self.opened += 1
                await self._join(reader, writer)
        except (OSError, asyncio.CancelledError):
            # Cut, or one of the ends has gone: either way the other hears of it below.
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        ways = [
            asyncio.ensure_future(self._pass(*way)) for way in ((reader, back), (there, writer))
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            back.transport.abort()
            with contextlib.suppress(OSError):
                await asyncio.gather(*ways, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            await self._speaking.wait()
            writer.write(data)
            await writer.drain()
