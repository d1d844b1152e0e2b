"""Which web pages may call: a Decider before another, only there where origins are set."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from modelrunner.gateway.messages import (
    Answer,
    Decider,
    Decision,
    Failure,
    Forward,
    Headers,
    Held,
    Outcome,
    Request,
    Ticket,
)
from modelrunner_protocol.origins import Origins, granted, preflight

if TYPE_CHECKING:
    from asyncio import Future

_REFUSED = "Origin not allowed: {} is not in MODELRUNNER_GATEWAY_ORIGINS"
_SHOWN = 200


class OriginCheck:
    """Lets pages of the allowed origins in, and what is no page.

    The answer to an OPTIONS request is given here, before any key is asked for: a browser sends
    none with it.
    """

    def __init__(self, inner: Decider, origins: Origins) -> None:
        self._inner = inner
        self._origins = origins

    def decide(self, request: Request) -> Decision:
        """What to do with a request."""
        raw = request.header(b"origin")
        if raw is None:
            return self._inner.decide(request)
        origin = raw.decode("latin-1")
        if not self._origins.allows(origin):
            told = _REFUSED.format(origin[:_SHOWN])
            return self.refuse(request.path, 403, "origin_not_allowed", told)
        if request.method == "OPTIONS":
            asked = request.header(b"access-control-request-headers") or b""
            names = {"Access-Control-Request-Headers": asked.decode("latin-1")}
            return Answer(204, b"", _headers(preflight(origin, names)))
        return _with(_headers(granted(origin)), self._inner.decide(request))

    def refuse(self, path: str, status: int, code: str, message: str) -> Answer:
        """An error of the front."""
        return self._inner.refuse(path, status, code, message)


def _headers(told: dict[str, str]) -> Headers:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in told.items()]


def _with(extra: Headers, decision: Decision) -> Decision:
    """The same decision, whose answer has these headers, too."""
    if isinstance(decision, Held):
        return _Held(extra, decision)
    return _decided(extra, decision)


def _decided(extra: Headers, decision: Forward | Answer) -> Forward | Answer:
    if isinstance(decision, Answer):
        return replace(decision, headers=[*decision.headers, *extra])
    ticket = _Ticket(extra, decision.ticket)
    return Forward(decision.endpoint, ticket, decision.path, [*decision.extra, *extra])


class _Ticket(Ticket):
    """Another's, whose next decision has the headers, too."""

    __slots__ = ("_extra", "_inner")

    def __init__(self, extra: Headers, inner: Ticket) -> None:
        self._extra = extra
        self._inner = inner

    def failed(self, failure: Failure) -> Decision:
        return _with(self._extra, self._inner.failed(failure))

    def first_byte(self, status: int) -> None:
        self._inner.first_byte(status)

    def done(self, outcome: Outcome, tail: bytes) -> None:
        self._inner.done(outcome, tail)

    def broken_event(self) -> bytes:
        return self._inner.broken_event()


class _Held(Held):
    """Another's."""

    def __init__(self, extra: Headers, inner: Held) -> None:
        self.extra = extra
        self._inner = inner
        self.stream, self.media, self.heartbeat = inner.stream, inner.media, inner.heartbeat
        self.patience, self.interval = inner.patience, inner.interval
        self.decided: Future[Forward | Answer] = inner.decided.get_loop().create_future()
        inner.decided.add_done_callback(partial(_pass_on, self.decided, extra))

    def leave(self) -> None:
        self._inner.leave()

    def event(self, status: int, body: bytes) -> bytes:
        return self._inner.event(status, body)


def _pass_on(
    to: "Future[Forward | Answer]", extra: Headers, done: "Future[Forward | Answer]"
) -> None:
    if to.done():
        return
    if done.cancelled():
        to.cancel()
    elif (error := done.exception()) is not None:
        to.set_exception(error)
    else:
        to.set_result(_decided(extra, done.result()))
