"""How a request for an engine comes in: counted, numbered, at its place, its body within bounds."""

import logging
import os
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from runnerd.config import Settings
from runnerd.logs import fields
from runnerd.server import answers
from runnerd.server.body import Body
from runnerd.server.dialects import Rejection
from runnerd.server.gate import Gate
from runnerd.server.routes import Inference

log = logging.getLogger(__name__)

PRELOAD: Final = "X-Preload-Only"
"""A request with this header and "true" only wants the model loaded (docker model CLI)."""

_REQUEST_ID: Final = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request that is inside.

    Attributes:
        request: Its head.
        route: Where it goes.
        raw: Its whole body.
        number: Its ID, the client's own or ours.
        arrived: When it came (monotonic).
    """

    request: web.BaseRequest
    route: Inference
    raw: bytes
    number: str
    arrived: float

    @property
    def preload(self) -> bool:
        """Whether it only wants the model loaded."""
        return self.request.headers.get(PRELOAD, "").lower() == "true"


class Intake:
    """The way in, and the count of what went through it."""

    def __init__(
        self, settings: Settings, gate: Gate, count: Callable[[str, int, float], None]
    ) -> None:
        """`count` gets the route's label, the status (499: the client left) and seconds."""
        self._settings = settings
        self._gate = gate
        self._count = count

    async def answer(
        self,
        request: web.BaseRequest,
        route: Inference,
        *,
        closed: Callable[[Inference], web.Response | None],
        inside: Callable[[Incoming], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """The answer to a request.

        Args:
            request: Its head.
            route: Where it goes.
            closed: Says why nothing is let in now, if so. Between it and the gate nothing is
                awaited: see `Closure`.
            inside: Gives the answer to what came in whole.
        """
        began, status = time.monotonic(), 499
        given = request.headers.get("X-Request-Id", "")
        number = given if _REQUEST_ID.fullmatch(given) else os.urandom(12).hex()
        try:
            response: web.StreamResponse | None = closed(route)
            if response is None:
                response = await self._admitted(request, route, number, inside)
            status = response.status
        finally:
            # A client that leaves cancels this task, or makes a write fail: that is the 499.
            seconds = time.monotonic() - began
            self._count(route.name, status, seconds)
            if log.isEnabledFor(logging.DEBUG):
                told = fields(route=route.name, status=status, seconds=seconds, id=number)
                log.debug("request", extra=told)
        if not response.prepared:
            response.headers["X-Request-Id"] = number
        return response

    async def _admitted(
        self,
        request: web.BaseRequest,
        route: Inference,
        number: str,
        inside: Callable[[Incoming], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        if not self._gate.enter():
            text = f"{self._settings.max_in_flight} requests are waiting already"
            return answers.busy(text, route.dialect)
        body, arrived = Body(request, self._gate.hold), time.monotonic()
        try:
            raw = await self._read(body, route)
            if isinstance(raw, web.Response):
                return raw
            return await inside(Incoming(request, route, raw, number, arrived))
        finally:
            self._gate.leave(body.size)

    async def _read(self, body: Body, route: Inference) -> bytes | web.Response:
        """A whole body, or the answer to one that cannot be had."""
        limits = self._settings
        raw = await body.read(limit=limits.max_body, timeout=limits.body_timeout)
        if body.crowded:
            text = "the requests that are waiting hold too much memory"
            return answers.busy(text, route.dialect)
        return answers.rejection(raw, route.dialect) if isinstance(raw, Rejection) else raw


def loaded() -> web.Response:
    """The answer to a request that only wanted its model loaded: an empty one."""
    return web.Response(status=200, headers={"Server": answers.SERVER})
