"""An answer that goes on while a model is pulled or pushed, line by line."""

import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing, suppress

from aiohttp import web

from modelrunner_protocol.dmr import Line
from runnerd.logs import fields
from runnerd.server import answers
from runnerd.server.dialects import reject
from runnerd.standalone.catalogue.refusal import PullRefusedError
from runnerd.standalone.pages import RefusedError

log = logging.getLogger(__name__)

_BROKEN = "the server failed; its log tells more"


async def told_in_lines(
    request: web.BaseRequest,
    events: AsyncGenerator[Line, None],
    *,
    content_type: str,
    lines: Callable[[Line], Iterable[bytes]],
    failure: Callable[[str], bytes],
) -> web.StreamResponse:
    """Write each event's lines; `failure` makes the last line of what went wrong on the way.

    A client that leaves cancels this, and with it the events.

    Raises:
        RefusedError: it went wrong before the first event.
    """
    async with aclosing(events):
        first = await first_of(events)
        headers = {"Server": answers.SERVER, "Cache-Control": "no-cache"}
        response = web.StreamResponse(headers=headers)
        response.content_type = content_type
        await response.prepare(request)
        try:
            await response.write(b"".join(lines(first)))
            async for event in events:
                await response.write(b"".join(lines(event)))
        except (ConnectionError, web.HTTPException):
            raise
        except Exception:
            log.exception("a pull failed", extra=fields(path=request.path[:200]))
            await response.write(failure(_BROKEN))
        with suppress(ConnectionError):
            await response.write_eof()
        return response


async def first_of(events: AsyncGenerator[Line, None]) -> Line:
    """The first event, which tells that it can be done.

    Raises:
        RefusedError: it cannot.
    """
    try:
        return await anext(events)
    except PullRefusedError as error:
        raise RefusedError(reject(error.status, str(error))) from error
    except StopAsyncIteration as error:
        raise AssertionError("a pull tells at least how it ended") from error
