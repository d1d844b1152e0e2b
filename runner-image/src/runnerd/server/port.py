"""A server's port, from its first connection to the last answer."""

import asyncio
import gc
import socket
from asyncio import selector_events
from collections.abc import Coroutine
from typing import Any, Final

from aiohttp import web

from runnerd.server.connection import Server
from runnerd.server.listener import take_no_more

LAST_WRITES: Final = 1.0
"""Seconds for answers to get to their clients once nothing is done any more."""

_LAST_READS: Final = 0.5
_READ_SIZE: Final = 1 << 16


class Port:
    """Gives a listening socket's connections to a server."""

    def __init__(self, listener: socket.socket, server: Server) -> None:
        self._listener = listener
        self._runner = web.ServerRunner(server, shutdown_timeout=LAST_WRITES)

    async def open(self) -> int:
        """Take connections; the number of the port."""
        await self._runner.setup()
        await web.SockSite(self._runner, self._listener, backlog=1024).start()
        number: int = self._runner.addresses[0][1]
        return number

    async def close(self, patience: float) -> None:
        """End when everybody who had connected by then was answered.

        `patience`: seconds, at most a half, for requests of connections that are not accepted yet.
        """
        take_no_more(self._listener)
        await asyncio.sleep(min(_LAST_READS, patience))
        # A connection that asyncio has accepted, but not yet made, would hang for ever.
        asyncio.get_running_loop().remove_reader(self._listener)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for site in self._runner.sites:
            await site.stop()
        await self._runner.cleanup()


def settle() -> None:
    """Tell the garbage collector that the start is over.

    What was imported stays, and requests leave no cycles behind: a collector that looks seldom
    and at little spares them pauses.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    gc.enable()


def read_less_at_once() -> None:
    """For the 256 KiB that asyncio reads, malloc maps and unmaps memory at every event."""
    transport: Any = vars(selector_events).get("_SelectorTransport")
    if transport is not None:
        transport.max_size = _READ_SIZE


async def first(*events: Coroutine[Any, Any, object], timeout: float) -> None:
    """Wait for the first of `events`, at most `timeout` seconds."""
    waiting = [asyncio.ensure_future(event) for event in events]
    await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
