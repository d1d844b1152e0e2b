"""The routes by which the operator and the gateways steer a runner: close, open, held."""

import math
from collections.abc import Callable
from typing import Final

from aiohttp import web

from modelrunner_protocol.codec import WireError, decode, to_dict
from modelrunner_protocol.runner import Closing, HeldReport, RunnerStatus
from runnerd.server import answers
from runnerd.server.body import Body
from runnerd.server.closure import LONGEST_LEASE, Closure
from runnerd.server.dialects import Rejection, reject
from runnerd.server.waiting import MOST_HELD, Waiting

_BODY_LIMIT: Final = 4096
_BODY_TIMEOUT: Final = 5.0
_LONGEST_NAME: Final = 253


class Control:
    """Answers POST requests at these routes. Their bodies do not count as clients' bodies."""

    def __init__(
        self, closure: Closure, waiting: Waiting, status: Callable[[], RunnerStatus]
    ) -> None:
        self._closure = closure
        self._waiting = waiting
        self._status = status

    async def close(self, request: web.BaseRequest) -> web.Response:
        """Close the door: 200 when it is, 409 when somebody came in; the status in both cases."""
        raw = await _read(request)
        asked = raw if isinstance(raw, Rejection) else _closing(raw)
        if isinstance(asked, Rejection):
            return answers.rejection(asked)
        agreed = self._closure.close(asked)
        return answers.json_answer(200 if agreed else 409, to_dict(self._status()))

    async def open(self, request: web.BaseRequest) -> web.Response:
        """Open the door; a body is read and means nothing."""
        raw = await _read(request)
        if isinstance(raw, Rejection):
            return answers.rejection(raw)
        self._closure.open()
        return answers.json_answer(200, to_dict(self._status()))

    async def held(self, request: web.BaseRequest) -> web.Response:
        """Note how many requests wait at one gateway: 204."""
        raw = await _read(request)
        told = raw if isinstance(raw, Rejection) else _report(raw)
        if isinstance(told, Rejection):
            return answers.rejection(told)
        self._waiting.report(told)
        return web.Response(status=204, headers={"Server": answers.SERVER})


async def _read(request: web.BaseRequest) -> bytes | Rejection:
    return await Body(request, lambda _: True).read(limit=_BODY_LIMIT, timeout=_BODY_TIMEOUT)


def _closing(raw: bytes) -> Closing | Rejection:
    try:
        asked = decode(Closing, raw)
    except WireError as error:
        return reject(400, str(error))
    if not 0 < asked.lease <= LONGEST_LEASE:
        text = f"lease: {asked.lease:g} s is not more than 0 and at most {LONGEST_LEASE:g} s"
        return reject(400, text, param="lease")
    if asked.last_used_at is not None and not math.isfinite(asked.last_used_at):
        return reject(400, "lastUsedAt: not a point in time", param="lastUsedAt")
    return asked


def _report(raw: bytes) -> HeldReport | Rejection:
    try:
        told = decode(HeldReport, raw)
    except WireError as error:
        return reject(400, str(error))
    if not 0 < len(told.gateway) <= _LONGEST_NAME:
        return reject(400, f"gateway: a name of 1 to {_LONGEST_NAME} characters", param="gateway")
    if not 0 <= told.held <= MOST_HELD:
        return reject(400, f"held: a number from 0 to {MOST_HELD}", param="held")
    return told
