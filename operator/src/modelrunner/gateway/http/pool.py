"""Connections to endpoints: kept while they may be used again, newest first."""

import asyncio
from typing import TYPE_CHECKING, cast

from modelrunner.gateway.http.settings import FrontSettings
from modelrunner.gateway.http.upstream import Upstream
from modelrunner.gateway.messages import Endpoint

if TYPE_CHECKING:
    from collections import deque


class Pool:
    """As many connections per endpoint as were busy at once lately, so ports do not run out.

    The newest spare one is used first, so those above the present need grow old and are closed.
    """

    def __init__(self, settings: FrontSettings) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._endpoints: dict[Endpoint, int] = {}
        self.now = self._loop.time()

    def take(self, endpoint: Endpoint) -> Upstream | None:
        """A spare connection, if there is one."""
        idle = cast("deque[Upstream]", endpoint.idle)
        while idle:
            upstream = idle.pop()
            if upstream.usable:
                return upstream
        return None

    def give(self, upstream: Upstream) -> None:
        """Keep a connection whose answer has ended in order."""
        if upstream.endpoint.retired:
            upstream.close()
            return
        upstream.idle_since = self.now
        upstream.used = True
        upstream.endpoint.idle.append(upstream)

    async def dial(self, endpoint: Endpoint) -> Upstream:
        """A new connection.

        Raises:
            OSError: there is none, or none in time.
        """
        address = endpoint.address

        def protocol() -> Upstream:
            return Upstream(self, endpoint)

        async with asyncio.timeout(self._settings.connect_timeout):
            if isinstance(address, str):
                _, upstream = await self._loop.create_unix_connection(protocol, address)
            else:
                _, upstream = await self._loop.create_connection(protocol, *address)
        return upstream

    def opened(self, endpoint: Endpoint) -> None:
        """A connection to it is there."""
        self._endpoints[endpoint] = self._endpoints.get(endpoint, 0) + 1

    def closed(self, upstream: Upstream) -> None:
        """A connection has ended."""
        endpoint = upstream.endpoint
        if upstream in endpoint.idle:
            endpoint.idle.remove(upstream)
        left = self._endpoints.get(endpoint, 0) - 1
        if left > 0:
            self._endpoints[endpoint] = left
        else:
            self._endpoints.pop(endpoint, None)

    @property
    def connections(self) -> int:
        """All connections to endpoints, busy and spare."""
        return sum(self._endpoints.values())

    def sweep(self, now: float) -> None:
        """Close what has been spare for too long, or leads to an endpoint that is gone."""
        self.now = now
        oldest = now - self._settings.upstream_idle_timeout
        for endpoint in tuple(self._endpoints):
            idle = cast("deque[Upstream]", endpoint.idle)
            while idle and (endpoint.retired or idle[0].idle_since < oldest):
                idle.popleft().close()

    def close(self) -> None:
        """Close all spare connections."""
        for endpoint in tuple(self._endpoints):
            while endpoint.idle:
                endpoint.idle.popleft().close()
