"""An engine's stream in other words, event by event."""

import contextlib
import time
from typing import Protocol

from aiohttp import ClientError, ClientResponse, web

from runnerd.engines.supervisor import Supervisor
from runnerd.server.dialects import Dialect
from runnerd.server.proxy import Proxy, Streamed, writer


class Stream(Protocol):
    """Takes an answer's bytes, gives others. `broken`: nothing else is worth reading."""

    broken: bool

    def take(self, chunk: bytes) -> bytes:
        """What is whole with these bytes."""
        ...

    def end(self) -> bytes:
        """What is still to say when no more bytes come."""
        ...

    def failed(self, message: str) -> bytes:
        """The end of an answer that cannot go on."""
        ...


async def retell(
    request: web.BaseRequest,
    begun: tuple[ClientResponse, int],
    stream: Stream,
    *,
    dialect: Dialect,
    headers: dict[str, str],
    engine: Supervisor,
    proxy: Proxy,
) -> web.StreamResponse:
    """The answer that `begun` begins, as `stream` puts it, from its first words on."""
    upstream, epoch = begun
    readany = upstream.content.readany
    response: Streamed | None = None
    write = None
    more = True
    while more:
        try:
            chunk = await readany()
        except (ClientError, OSError):
            if response is None:
                # Nothing was said yet, so this can still be an error like any other.
                return await proxy.lost(dialect, epoch)
            told, more = stream.failed(await proxy.why_lost(epoch)), False
        else:
            engine.heard_at = time.monotonic()
            told, more = stream.take(chunk) if chunk else stream.end(), bool(chunk)
        if not told:
            continue
        if write is None:
            response = Streamed(status=200, headers=headers)
            await response.prepare(request)
            write = writer(request, response)
        # Waits while the client takes less than the engine gives: nothing piles up here.
        await write(told)
        more = more and not stream.broken
    if response is None:
        return await proxy.lost(dialect, epoch)
    with contextlib.suppress(ConnectionError):
        await response.write_eof()
    return response


async def whole(upstream: ClientResponse) -> bytes | None:
    """The whole answer; None when the engine died within it."""
    try:
        return await upstream.read()
    except (ClientError, OSError):
        return None
