"""One request to the engine, its answer to the client: byte for byte, but for the model's name."""

import contextlib
import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import (
    ClientError,
    ClientOSError,
    ClientResponse,
    ClientSession,
    ServerDisconnectedError,
    ServerTimeoutError,
    web,
)
from multidict import CIMultiDict
from yarl import URL

from runnerd.engines.supervisor import Supervisor
from runnerd.engines.upstream import BASE, reused_for
from runnerd.server import answers
from runnerd.server.checks import Accepted
from runnerd.server.dialects import Dialect, error_event
from runnerd.server.mending import (
    Renaming,
    is_comment,
    lacks_start,
    message_start,
    opens,
    with_ping,
    with_role,
)
from runnerd.server.refusals import refusal, worded
from runnerd.server.routes import Inference
from runnerd.telemetry.metrics import Metrics

HEARD: Final[web.RequestKey[Callable[[bytes], None]]] = web.RequestKey("HEARD")
"""Member of a request whose streamed answer somebody else wants, too: called with every piece."""

EVENTS: Final = "text/event-stream"
_READ_WHOLE: Final = 1 << 20
_FORWARDED: Final = ("Accept", "traceparent", "tracestate")
_DROPPED: Final = frozenset(
    {
        # Of the connection to the engine, not of the answer (RFC 9110, 7.6.1).
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        # Ours to say.
        "content-length",
        "date",
        "server",
        "x-request-id",
    }
)
_GONE: Final = (ServerDisconnectedError, ClientOSError)
# Seconds in which the end of a kept connection shows. Whoever hangs up later has read the request.
_AT_ONCE: Final = 0.5


class Streamed(web.StreamResponse):
    """Its head is sent together with the first piece: one packet and one wake-up less."""

    _send_headers_immediately = False


class Proxy:
    """Sends requests to the engine; `retry_wait` seconds bound the wait for a new one.

    `session` keeps connections, each of `fresh`'s requests has a new one. `model` is what the
    engine calls its model.
    """

    def __init__(
        self,
        session: ClientSession,
        fresh: ClientSession,
        engine: Supervisor,
        metrics: Metrics,
        *,
        retry_wait: float,
        model: str,
    ) -> None:
        self._session = session
        self._fresh = fresh
        self._engine = engine
        self._metrics = metrics
        self._retry_wait = retry_wait
        self._model = model
        self._urls: dict[str, URL] = {}

    async def forward(
        self, request: web.BaseRequest, route: Inference, sent: Accepted, request_id: str
    ) -> web.StreamResponse:
        """The engine's answer, or ours when there is none to be had."""
        found = await self.begin(request, route, route.path, sent.body, request_id)
        if isinstance(found, web.Response):
            return found
        upstream, epoch = found
        try:
            told = _headers(upstream, request_id)
            return await self._relay(request, route, sent, upstream, epoch, told)
        finally:
            # Nothing happens when the answer was read to its end; otherwise the connection is
            # closed, which makes the engine stop generating.
            upstream.close()

    async def begin(
        self, request: web.BaseRequest, route: Inference, path: str, body: bytes, request_id: str
    ) -> tuple[ClientResponse, int] | web.Response:
        """Ask the engine's `path`.

        Returns:
            The head of its answer, which the caller closes, and the epoch that gave it; else our
            own answer.
        """
        began = time.monotonic()
        headers = {"Content-Type": "application/json", "X-Request-Id": request_id}
        for name in _FORWARDED:
            if value := request.headers.get(name):
                headers[name] = value
        found = await self._obtain(route.dialect, path, body, headers)
        if not isinstance(found, web.Response):
            self._engine.heard_at = time.monotonic()
            self._metrics.first_byte(route.name, self._engine.heard_at - began)
        return found

    async def lost(self, dialect: Dialect, epoch: int) -> web.Response:
        """Our answer instead of that of an engine that died before it said anything."""
        return _failed(dialect, await self._engine.explained(epoch))

    async def why_lost(self, epoch: int) -> str:
        """Why an engine died within its answer."""
        if self._engine.draining:
            return "the runner is stopping"
        return await self._engine.explained(epoch)

    async def _obtain(
        self, dialect: Dialect, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[ClientResponse, int] | web.Response:
        retried = False
        while True:
            epoch = self._engine.epoch
            # Read to its end, as far as is known: the same engine must not get it twice.
            executed = False
            if self._engine.ready:
                try:
                    return await self._send(path, body, headers), epoch
                except _GONE as error:
                    if retried:
                        return await self.lost(dialect, epoch)
                    retried = True
                    executed = isinstance(error, ServerDisconnectedError)
                except ServerTimeoutError:
                    return _failed(dialect, "the engine takes no connections")
                except ClientError:
                    return _failed(dialect, "the engine gave an answer that is not HTTP")
            if not await self._engine.recovered(epoch, self._retry_wait):
                return answers.unavailable(self._engine, dialect, untouched=not retried)
            if executed and self._engine.epoch == epoch:
                return await self.lost(dialect, epoch)

    async def _send(self, path: str, body: bytes, headers: Mapping[str, str]) -> ClientResponse:
        """Ask the engine, on a connection of `fresh` where a kept one had ended already.

        An engine closes what was idle for long. A request that is on its way then is one that it
        has never read (RFC 9112, 9.3.1), and further kept connections are as old as the first.
        That shows at once. Later the engine may have worked on it: then it is not sent again.
        """
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = URL(BASE + path, encoded=True)
        try:
            return await self._session.post(url, data=body, headers=headers, allow_redirects=False)
        except _GONE as error:
            passed = reused_for()
            if passed is None or passed >= _AT_ONCE or _has_begun(error):
                raise
        return await self._fresh.post(url, data=body, headers=headers, allow_redirects=False)

    async def _relay(
        self,
        request: web.BaseRequest,
        route: Inference,
        sent: Accepted,
        upstream: ClientResponse,
        epoch: int,
        headers: CIMultiDict[str],
    ) -> web.StreamResponse:
        renaming = None
        if sent.asked and sent.asked != self._model:
            renaming = Renaming(self._model, sent.asked, route.dialect)
        length = upstream.content_length
        if length is None or length > _READ_WHOLE:
            return await self._stream(request, route, sent, renaming, upstream, epoch, headers)
        try:
            body = await upstream.read()
        except (ClientError, OSError):
            return await self.lost(route.dialect, epoch)
        if found := refusal(route, upstream.status, body):
            return answers.rejection(found, route.dialect)
        if upstream.status >= 400:
            body = worded(body)
        if renaming is not None:
            body = renaming.whole(body)
        return web.Response(status=upstream.status, headers=headers, body=body)

    async def _stream(
        self,
        request: web.BaseRequest,
        route: Inference,
        sent: Accepted,
        renaming: Renaming | None,
        upstream: ClientResponse,
        epoch: int,
        headers: CIMultiDict[str],
    ) -> web.StreamResponse:
        dialect, engine, readany = route.dialect, self._engine, upstream.content.readany
        try:
            chunk = await readany()
        except (ClientError, OSError):
            # Nothing was said yet, so this can still be an error like any other.
            return await self.lost(dialect, epoch)
        response = Streamed(status=upstream.status, headers=headers)
        if upstream.content_length is not None and renaming is None:
            response.content_length = upstream.content_length
        await response.prepare(request)
        write = writer(request, response)
        unopened = opens(route) and upstream.content_type == EVENTS
        while chunk:
            engine.heard_at = time.monotonic()
            last = chunk
            if unopened and not is_comment(chunk):
                unopened, chunk = False, await self._opened(route, sent, chunk)
            if renaming is not None:
                chunk = renaming.take(chunk)
            if chunk:
                # Waits while the client takes less than the engine gives: nothing piles up here.
                await write(chunk)
            try:
                chunk = await readany()
            except (ClientError, OSError) as error:
                await self._break_off(request, dialect, response, last, epoch, error)
                break
        else:
            if renaming is not None and (held := renaming.end()):
                await write(held)
        with contextlib.suppress(ConnectionError):
            await response.write_eof()
        return response

    async def _opened(self, route: Inference, sent: Accepted, chunk: bytes) -> bytes:
        """The first events of a stream, with the one that the engine may have left out."""
        if route.dialect is not Dialect.ANTHROPIC:
            return with_role(chunk)
        if not lacks_start(chunk):
            return with_ping(chunk)
        tokens = 0
        with contextlib.suppress(ClientError, OSError, ValueError, LookupError, TypeError):
            headers = {"Content-Type": "application/json"}
            async with await self._send(
                f"{route.path}/count_tokens", sent.body, headers
            ) as counted:
                tokens = int(json.loads(await counted.read())["input_tokens"])
        start = message_start(sent.asked or self._model, os.urandom(12).hex(), tokens)
        return with_ping(start) + chunk

    async def _break_off(
        self,
        request: web.BaseRequest,
        dialect: Dialect,
        response: web.StreamResponse,
        last: bytes,
        epoch: int,
        error: Exception,
    ) -> None:
        """End an answer whose engine died, so that nobody takes it for a whole one."""
        if response.content_type != EVENTS:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("the engine died within an answer") from error
        event = error_event(dialect, answers.engine_failure(await self.why_lost(epoch)))
        # An event that was cut in its middle is closed first.
        closed = event if last.endswith(b"\n\n") else b"\n\n" + event
        await writer(request, response)(closed)


def writer(
    request: web.BaseRequest, response: web.StreamResponse
) -> Callable[[bytes], Awaitable[None]]:
    """What a stream's pieces are to be written with: `HEARD` hears them."""
    heard = request.get(HEARD)
    if heard is None:
        return response.write

    async def both(piece: bytes) -> None:
        heard(piece)
        await response.write(piece)

    return both


def _has_begun(error: ClientError) -> bool:
    """Whether the connection ended within the head of an answer: what had come of it is kept."""
    return isinstance(error, ServerDisconnectedError) and not isinstance(error.message, str)


def _failed(dialect: Dialect, message: str) -> web.Response:
    return answers.rejection(answers.engine_failure(message), dialect)


def _headers(upstream: ClientResponse, request_id: str) -> CIMultiDict[str]:
    """What the client gets of the engine's headers, and our own."""
    found = CIMultiDict({"Server": answers.SERVER, "X-Request-Id": request_id})
    for name, value in upstream.headers.items():
        # llama-server sends an empty Access-Control-Allow-Origin; CORS is not its to decide.
        if (lower := name.lower()) not in _DROPPED and not lower.startswith("access-control-"):
            found.add(name, value)
    return found
