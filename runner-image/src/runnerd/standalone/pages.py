"""How the parts of the server say which paths they answer."""

import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from aiohttp import web

from runnerd.server import answers
from runnerd.server.body import Body
from runnerd.server.dialects import Dialect, Rejection

BODY_LIMIT: Final = 1 << 20
"""Bytes that the body of a request to a page may have."""

_BODY_TIMEOUT: Final = 30.0

Handler = Callable[[web.BaseRequest, Mapping[str, str]], Awaitable[web.StreamResponse]]
"""Answers a request; it also gets the named groups of the page's path, percent signs decoded.

It may raise `RefusedError`. Everything else that it raises is a 500 without its insides.
"""


class RefusedError(Exception):
    """A request that cannot be done: the rejection, and seconds after which to try again."""

    def __init__(self, found: Rejection, retry_after: float | None = None) -> None:
        super().__init__(found.message)
        self.found = found
        self.retry_after = retry_after

    def answer(self, dialect: Dialect) -> web.Response:
        """The answer, in a dialect's words."""
        later = self.retry_after
        headers = {} if later is None else {"Retry-After": str(max(1, math.ceil(later)))}
        return answers.rejection(self.found, dialect, headers)


@dataclass(frozen=True, slots=True)
class Page:
    """A path and what answers there, by method. HEAD is answered as GET is.

    Attributes:
        path: A regular expression for the whole path as it was sent, without empty segments;
            percent signs are still encoded. Of several pages that match the first one answers.
        handlers: By method, in capitals.
        dialect: Whose words errors are in.
    """

    path: str
    handlers: Mapping[str, Handler]
    dialect: Dialect = Dialect.OPENAI
    pattern: "re.Pattern[str]" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the expression once."""
        object.__setattr__(self, "pattern", re.compile(self.path))

    @property
    def allowed(self) -> str:
        """The value of the header Allow."""
        methods = {"HEAD", *self.handlers} if "GET" in self.handlers else set(self.handlers)
        return ", ".join(sorted(methods))

    async def answer(self, request: web.BaseRequest, found: "re.Match[str]") -> web.StreamResponse:
        """The answer to a request whose path matches."""
        method = "GET" if request.method == "HEAD" else request.method
        handler = self.handlers.get(method)
        if handler is None:
            return answers.wrong_method(self.allowed, self.dialect)
        groups = {name: unquote(value or "") for name, value in found.groupdict().items()}
        return await handler(request, groups)


async def body_of(request: web.BaseRequest, limit: int = BODY_LIMIT) -> bytes:
    """The whole body of a request to a page.

    Raises:
        RefusedError: it is longer than `limit` bytes, too slow, compressed or cut short.
    """
    raw = await Body(request, lambda _: True).read(limit=limit, timeout=_BODY_TIMEOUT)
    if isinstance(raw, Rejection):
        raise RefusedError(raw)
    return raw
