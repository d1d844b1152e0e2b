"""Which web pages may call, in front of the router."""

import asyncio

import pytest

from modelrunner.gateway.messages import Answer, Decision, Failure, Headers, Held, Outcome, Request
from modelrunner.gateway.routing.origins import OriginCheck
from modelrunner_protocol.origins import parse_origins
from tests.support.gateway_world import World, answered, forwarded, held, told
from tests.support.virtual_time import virtual

A, B = "10.0.0.1", "10.0.0.2"
PAGE = "http://localhost:5173"
GRANTED = (b"access-control-allow-origin", PAGE.encode())
CHAT = b'{"model": "smol", "messages": [], "stream": true}'


def asked(world: World, origin: str, method: str = "POST", **headers: str) -> Decision:
    """Decide about a chat of a page."""
    given: Headers = [(b"origin", origin.encode())] if origin else []
    given += [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    check = OriginCheck(world.router, parse_origins(["http://localhost:*"]))
    path = "/v1/chat/completions"
    return check.decide(Request(method, path, b"", given, CHAT, b"id", "10.1.1.1", 0.0))


@virtual
async def test_what_is_no_page_is_not_touched() -> None:
    """The decision is the router's own."""
    async with World() as world:
        world.awake("ml/smol", A)
        assert forwarded(asked(world, "")).extra == []


@virtual
async def test_a_page_gets_its_headers_wherever_the_answer_comes_from() -> None:
    """From the first runner, from the next one when that fails, and with an error at last."""
    async with World() as world:
        world.awake("ml/smol", A, B)
        first = forwarded(asked(world, PAGE))
        assert GRANTED in first.extra
        second = forwarded(first.ticket.failed(Failure.UNREACHABLE))
        assert second.endpoint is not first.endpoint
        assert GRANTED in second.extra
        last = second.ticket.failed(Failure.MALFORMED)
        assert isinstance(last, Answer)
        assert (last.status, GRANTED in last.headers) == (502, True)
        done = forwarded(asked(world, PAGE))
        done.ticket.first_byte(200)
        done.ticket.done(Outcome.COMPLETE, b"")
        assert b"not complete" in forwarded(asked(world, PAGE)).ticket.broken_event()
        assert world.entry("ml/smol").in_flight == 1


@virtual
async def test_a_page_that_waits() -> None:
    """The stream's own head has them, and so has the answer that comes without one."""
    async with World() as world:
        world.sleeping("ml/smol")
        waiting = held(asked(world, PAGE))
        assert waiting.stream
        assert waiting.heartbeat == b": waking\n\n"
        assert GRANTED in (waiting.extra or ())
        assert waiting.event(503, b"") != b""
        gone = held(asked(world, PAGE))
        gone.leave()
        world.delete("ml/smol")
        async with asyncio.timeout(5):
            found = await waiting.decided
        assert isinstance(found, Answer)
        assert (found.status, GRANTED in found.headers) == (404, True)


@virtual
async def test_a_page_that_waits_is_forwarded() -> None:
    """With its headers beside that of the cold start."""
    async with World() as world:
        world.sleeping("ml/smol")
        waiting = held(asked(world, PAGE))
        await world.settled()
        world.awake("ml/smol", A)
        async with asyncio.timeout(30):
            found = forwarded(await waiting.decided)
        assert GRANTED in found.extra
        assert any(name == b"x-model-cold-start" for name, _ in found.extra)


@virtual
async def test_other_pages_and_questions_before_a_request() -> None:
    """403, and 204 without a body or a key."""
    async with World() as world:
        status, code, message = told(asked(world, "https://evil.example"))
        assert (status, code) == (403, "origin_not_allowed")
        assert "https://evil.example" in message
        assert told(asked(world, "null"))[0] == 403
        plain = asked(world, PAGE, "OPTIONS", access_control_request_headers="authorization")
        assert isinstance(plain, Answer)
        assert (plain.status, plain.body) == (204, b"")
        assert (b"access-control-allow-headers", b"authorization") in plain.headers
        assert GRANTED in plain.headers
        assert answered(asked(world, "", "OPTIONS"))[0] == 405
        assert world.meters.rejected["origin_not_allowed"] == 2


class _Waits(Held):
    """A request that waits for nothing in particular, and the one who decided so."""

    def __init__(self) -> None:
        self.decided = asyncio.get_running_loop().create_future()
        self.left = 0

    def leave(self) -> None:
        self.left += 1

    def event(self, status: int, body: bytes) -> bytes:
        return b"%d %b" % (status, body)

    def decide(self, request: Request) -> Decision:
        """Part of Decider."""
        assert request.header(b"origin") == PAGE.encode()
        return self

    def refuse(self, path: str, status: int, code: str, message: str) -> Answer:
        """Part of Decider."""
        return Answer(status, f"{path} {message}".encode(), code=code)


@virtual
async def test_a_wait_ends_as_the_one_behind_it() -> None:
    """Cancelled, with its error, or by its client, who is not told of the rest."""
    request = Request("GET", "/x", b"", [(b"origin", PAGE.encode())], b"", b"id", "1", 0.0)
    for fault in (None, RuntimeError("no")):
        inner = _Waits()
        outer = held(OriginCheck(inner, parse_origins(["*"])).decide(request))
        assert outer.event(503, b"x") == b"503 x"
        if fault is None:
            inner.decided.cancel()
        else:
            inner.decided.set_exception(fault)
        with pytest.raises(RuntimeError if fault else asyncio.CancelledError):
            await outer.decided
    inner = _Waits()
    outer = held(OriginCheck(inner, parse_origins(["*"])).decide(request))
    outer.leave()
    outer.decided.cancel()
    inner.decided.set_result(Answer(200, b""))
    await asyncio.sleep(0)
    assert (inner.left, outer.decided.cancelled()) == (1, True)
