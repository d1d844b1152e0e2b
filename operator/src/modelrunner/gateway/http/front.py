"""The front: listeners, connections, limits, the end."""

import asyncio
import os
import socket
from email.utils import formatdate
from itertools import count
from typing import Final

from modelrunner.gateway.http.client import Client
from modelrunner.gateway.http.pool import Pool
from modelrunner.gateway.http.reader import Ledger
from modelrunner.gateway.http.settings import FrontSettings
from modelrunner.gateway.messages import Decider

_BACKLOG: Final = 4096
_KERNEL_BUFFER: Final = 128 * 1024
_REFUSED_AT_ONCE: Final = 256
"""Connections above the limit that may be told so; more are closed without a word."""


class Front:
    """Serves HTTP/1.1 to clients and asks `decider` what to do with each request.

    To be made in a running loop. `in_flight` counts requests that are not answered yet; `clients`
    are the open connections.
    """

    def __init__(self, decider: Decider, settings: FrontSettings | None = None) -> None:
        self.decider = decider
        self.settings = settings or FrontSettings()
        self.loop = asyncio.get_running_loop()
        self.ledger = Ledger(self.settings.total_body_limit)
        self.pool = Pool(self.settings)
        self.in_flight = 0
        self.closing = False
        # The latest it may be before the next sweep, so that no deadline comes early.
        self.now = self.loop.time() + self.settings.sweep_interval
        self.date = _date()
        self.clients: set[Client] = set()
        self._empty = asyncio.Event()
        self._servers: list[asyncio.Server] = []
        self._ids = count(1)
        self._prefix = os.urandom(6).hex().encode()
        self._timer = self.loop.call_later(self.settings.sweep_interval, self._tick)

    @property
    def connections(self) -> int:
        """Open connections of clients."""
        return len(self.clients)

    async def listen(self, host: str, port: int) -> int:
        """Accept connections there; the port, which is a free one when `port` is 0."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server(
            (host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=host == "::"
        )
        await self.listen_on(listener)
        bound: int = listener.getsockname()[1]
        return bound

    async def listen_on(self, listener: socket.socket) -> None:
        """Accept connections on a TCP socket that is bound already; the front closes it."""
        # Inherited by what is accepted: what a slow reader leaves waits here, in little memory,
        # and not in megabytes of the kernel's.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _KERNEL_BUFFER)
        server = await self.loop.create_server(
            lambda: Client(self), sock=listener, backlog=_BACKLOG
        )
        self._servers.append(server)

    def announce_end(self) -> None:
        """From now on each answer closes its connection, while new ones are still accepted."""
        self.closing = True

    async def drain(self, timeout: float) -> bool:
        """Accept no more, let what is under way end, for at most `timeout` seconds.

        What is left then is broken off. Returns whether nothing was.
        """
        self.closing = True
        for server in self._servers:
            server.close()
        for client in tuple(self.clients):
            client.close_if_idle()
        try:
            async with asyncio.timeout(timeout):
                while self.clients:
                    self._empty.clear()
                    await self._empty.wait()
        except TimeoutError:
            whole = False
        else:
            whole = True
        for client in tuple(self.clients):
            client.abort(reset=True)
        self.pool.close()
        self._timer.cancel()
        return whole

    # What connections ask.

    def admit(self, client: Client) -> bool:
        """Take a connection into account; whether there is room for it."""
        self.clients.add(client)
        over = len(self.clients) - self.settings.max_connections
        if over > _REFUSED_AT_ONCE:
            client.transport.abort()
        return over <= 0

    def discard(self, client: Client) -> None:
        """A connection has ended."""
        self.clients.discard(client)
        if not self.clients:
            self._empty.set()

    def new_id(self) -> bytes:
        """An id for a request that has none: unique in this process's life and among processes."""
        return b"%b-%x" % (self._prefix, next(self._ids))

    def _tick(self) -> None:
        self.sweep(self.loop.time())
        self._timer = self.loop.call_later(self.settings.sweep_interval, self._tick)

    def sweep(self, now: float) -> None:
        """End what has lasted too long by `now`, of the loop's clock."""
        self.now = now + self.settings.sweep_interval
        self.date = _date()
        for client in tuple(self.clients):
            client.sweep(now)
        self.pool.sweep(now)


def _date() -> bytes:
    return formatdate(usegmt=True).encode()
