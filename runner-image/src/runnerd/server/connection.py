"""aiohttp's connections, with our words for what is not HTTP."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from runnerd.server import answers
from runnerd.server.dialects import reject

_LONGEST_TARGET: Final = 8 << 10
# The gateway takes heads up to this size; what it passes on must not fail here.
_LONGEST_FIELD: Final = 64 << 10
_LINGERING: Final = 2.0


class _Connection(web.RequestHandler):
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to bytes that are no request; the connection is closed after it."""
        # The parser's own words, with a picture of the bytes.
        del message
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun, so there cannot be another one") from exc
        found = reject(status, "This is not an HTTP request that can be read")
        if isinstance(exc, LineTooLong):
            target = exc.args[1] == _LONGEST_TARGET
            text = "The request's target is" if target else "A header of the request is"
            found = reject(414 if target else 431, f"{text} too long")
        answer = answers.rejection(found)
        answer.force_close()
        return answer


Sign = Callable[[web.BaseRequest, web.StreamResponse], None]
"""Adds headers to an answer whose head is about to be sent."""


class _Signed(web.BaseRequest):
    """A request whose answer is signed, whoever gives it, and be it a stream."""

    sign: Sign

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        self.sign(self, response)


class Server(web.Server):
    """Makes our connections; `keep_alive` seconds is how long an idle one is kept."""

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        keep_alive: float,
        sign: Sign | None = None,
    ) -> None:
        super().__init__(handler, handler_cancellation=True, request_factory=_factory(sign))
        self._options: dict[str, Any] = {
            "access_log": None,
            "auto_decompress": False,
            "keepalive_timeout": keep_alive,
            "lingering_time": _LINGERING,
            "max_line_size": _LONGEST_TARGET,
            "max_field_size": _LONGEST_FIELD,
        }

    def __call__(self) -> web.RequestHandler:
        """A connection of a new client."""
        return _Connection(self, loop=asyncio.get_running_loop(), **self._options)


def _factory(sign: Sign | None) -> Callable[..., web.BaseRequest] | None:
    if sign is None:
        return None

    def make(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        request = _Signed(message, payload, protocol, writer, task, asyncio.get_running_loop())
        request.sign = sign
        return request

    return make
