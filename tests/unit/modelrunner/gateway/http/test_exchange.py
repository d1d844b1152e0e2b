"""Exchanges in memory, where each byte comes when the test says so."""

import pytest

from modelrunner.gateway.messages import Answer, Decision, Failure, Outcome
from tests.support.http_front import Desk, Note
from tests.support.http_wire import get, post
from tests.unit.modelrunner.gateway.http.memory import Memory, Pipe, run

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = b"9\r\ndata: 1\n\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def silent(pipe: Pipe) -> None:
    """Says nothing by itself."""


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_single_chunks(version: str) -> None:
    """Chunks that come one by one: as they are, or decoded for an old client."""

    async def scenario() -> None:
        desk = Desk()
        memory = Memory(desk, silent)
        memory.pipe.receive([get(version=version)])
        await memory.settle()
        (upstream,) = memory.pool.pipes
        upstream.receive([STREAM])
        memory.pipe.written.clear()
        upstream.receive([EVENT, EVENT, EVENT])
        assert memory.pipe.written == (EVENT if version == "1.1" else EVENT[3:-2]) * 3
        upstream.receive([b"0\r\n\r\n"])
        await memory.settle()
        assert desk.notes[0].outcomes == [Outcome.COMPLETE]
        assert desk.notes[0].tail == b"data: 1\n\n" * 3
        assert memory.pipe.ended == (version == "1.0")
        await memory.end()

    run(scenario)


def test_half_a_goodbye_is_one() -> None:
    """A client that ends its direction has left, also while there is something for it to read."""

    async def scenario() -> None:
        desk = Desk()
        memory = Memory(desk, silent)
        memory.pipe.receive([post(b"{}")])
        await memory.settle()
        (upstream,) = memory.pool.pipes
        upstream.receive([STREAM, EVENT])
        memory.client.eof_received()
        assert upstream.aborted
        assert desk.notes[0].outcomes == [Outcome.CLIENT_LEFT]
        await memory.end()
        assert desk.notes[0].outcomes == [Outcome.CLIENT_LEFT]

    run(scenario)


class Careless(Note):
    """A ticket with a defect."""

    def failed(self, failure: Failure) -> Decision:
        """Part of Ticket."""
        raise ValueError(failure)


def test_a_ticket_that_fails_is_a_502() -> None:
    """A defect of ours is an answer, not a client that waits for ever."""

    async def scenario() -> None:
        desk = Desk()
        memory = Memory(desk, Pipe.close)
        forward = desk.forward()
        forward.ticket = Careless(forward.endpoint)
        desk.route = lambda _: forward
        memory.pipe.receive([get()])
        await memory.settle()
        assert memory.pipe.written.startswith(b"HTTP/1.1 502 ")
        await memory.end()

    run(scenario)


def test_a_body_where_there_can_be_none() -> None:
    """What comes behind an answer without a body is nobody's, and its connection ends."""

    async def scenario() -> None:
        memory = Memory(Desk(), lambda pipe: pipe.receive([OK]))
        memory.pipe.receive([get(method="HEAD")])
        await memory.settle()
        assert memory.pipe.written.endswith(b"\r\n\r\n")
        assert memory.pool.pipes[0].aborted
        memory.pipe.receive([get()])
        await memory.settle()
        assert memory.pipe.written.endswith(b"\r\n\r\nok")
        assert len(memory.pool.pipes) == 2
        await memory.end()

    run(scenario)


def test_a_refusal_while_there_is_too_much_ahead() -> None:
    """Bytes that were held back behind a malformed request are thrown away."""

    async def scenario() -> None:
        desk = Desk()
        memory = Memory(desk, silent)
        memory.pipe.receive([get(), b"nonsense\r\n\r\n", b"x" * 100_000])
        await memory.settle()
        memory.pool.pipes[0].receive([OK])
        await memory.settle()
        memory.pipe.receive([get()])
        assert memory.pipe.written.count(b"HTTP/1.1 ") == 2
        assert b"HTTP/1.1 400 " in memory.pipe.written
        assert len(desk.requests) == 1
        await memory.end()

    run(scenario)


def test_time_passes_while_connecting() -> None:
    """Nothing is to be given up yet: the connection has a timeout of its own."""

    async def scenario() -> None:
        memory = Memory(Desk(), lambda pipe: pipe.receive([OK]))
        memory.pipe.receive([get()])
        memory.front.sweep(memory.front.loop.time() + 1e6)
        await memory.settle()
        assert memory.pipe.written.endswith(b"\r\n\r\nok")
        await memory.end()

    run(scenario)


def test_answers_at_once_leave_no_trace() -> None:
    """Own answers to many requests in one piece, in a loop and not in a recursion."""

    async def scenario() -> None:
        memory = Memory(Desk(route=lambda _: Answer(200, b"")), silent)
        memory.pipe.receive([get() * 5000])
        assert memory.pipe.written.count(b"HTTP/1.1 200 ") == 5000
        await memory.end()

    run(scenario)
