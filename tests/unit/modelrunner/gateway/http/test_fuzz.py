"""Arbitrary bytes from both sides: never a crash, never a hang, never one answer for another."""

import asyncio
import re
from dataclasses import dataclass

import h11
from hypothesis import given
from hypothesis import strategies as st

from modelrunner.gateway.messages import Answer
from tests.support.http_front import Desk
from tests.support.http_rows import SEEDS
from tests.support.http_wire import chunked, get, post
from tests.unit.modelrunner.gateway.http.memory import Memory, Pipe, cut, run

PLACES = st.lists(st.integers(0, 3000), max_size=6)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ANSWERS = [
    OK,
    b"HTTP/1.0 404 Not Found\r\n\r\nuntil the end",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"one", b"two" * 20),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\none\r\n0\r\nA: b\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nConnection: close\r\n\r\n",
    b"HTTP/1.1 503 No\r\nX-Runner-Draining: true\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    + chunked(b"data: 1\n\n"),
]
PIECES = st.sampled_from(
    [
        *(b"\r\n", b"\n", b"\r", b" ", b":", b"0", b"5", b"\x00", b"\xff", b"chunked", b"a"),
        *(b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n", b"HTTP/1.1 200 OK\r\n"),
    ]
)


@dataclass(frozen=True)
class Got:
    """What a client made of what it got; `whole` by its framing."""

    status: int
    body: bytes
    whole: bool


def read(data: bytes, methods: list[bytes], *, closed: bool) -> list[Got]:
    """The answers as h11 reads them; anything malformed is an error."""
    connection = h11.Connection(h11.CLIENT)
    found: list[Got] = []
    connection.receive_data(data)
    if closed:
        connection.receive_data(b"")
    for method in methods:
        connection.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        connection.send(h11.EndOfMessage())
        got = _one(connection)
        if got is None:
            break
        found.append(got)
        if not got.whole or connection.their_state is not h11.DONE:
            break
        connection.start_next_cycle()
    else:
        assert connection.trailing_data[0] == b""
    return found


def _one(connection: h11.Connection) -> Got | None:
    status, body = 0, b""
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            if not re.search("closed connection|ConnectionClosed", str(error)):
                raise  # The only fault that there may be is an early end.
            return Got(status, body, whole=False) if status else None
        if isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return Got(status, body, whole=True)
        elif event is h11.NEED_DATA:
            return Got(status, body, whole=False) if status else None


def answered(answer: bytes, places: list[int]) -> tuple[list[Got], list[str]]:
    """What a client gets when an endpoint says this and ends; and what the ticket was told."""
    found: list[Got] = []
    told: list[str] = []

    async def scenario() -> None:
        def serve(pipe: Pipe) -> None:
            pipe.receive(cut(answer, places))
            pipe.close()

        desk = Desk()
        memory = Memory(desk, serve)
        memory.pipe.receive([post(b"{}")])
        await memory.settle()
        found.extend(read(bytes(memory.pipe.written), [b"POST"], closed=memory.pipe.ended))
        for note in desk.notes:
            told.extend([each.value for each in note.failures])
            told.extend([each.value for each in note.outcomes])
        assert len(told) == len(desk.notes)
        await memory.end()

    run(scenario)
    return found, told


@given(st.sampled_from(ANSWERS), PLACES, st.data())
def test_any_answer(answer: bytes, places: list[int], data: st.DataObject) -> None:
    """Whatever an endpoint says, its client gets HTTP, and the same however it is split."""
    for _ in range(data.draw(st.integers(0, 2))):
        at = data.draw(st.integers(0, len(answer)))
        answer = answer[:at] + data.draw(PIECES) + answer[at + data.draw(st.integers(0, 2)) :]
    got, told = answered(answer, places)
    at_once, told_at_once = answered(answer, [])
    assert told == told_at_once
    assert len(told) == 1
    assert [each.whole for each in got] == [each.whole for each in at_once]
    if got and got[0].whole:
        assert got == at_once


@given(st.sampled_from(ANSWERS), PLACES)
def test_good_answers(answer: bytes, places: list[int]) -> None:
    """Unharmed ones arrive whole."""
    got, told = answered(answer, places)
    draining = b"Draining" in answer
    assert told == (["draining"] if draining else ["complete"])
    assert got[0].whole
    assert got[0].status == (502 if draining else read(answer, [b"GET"], closed=True)[0].status)


@given(st.lists(st.tuples(st.sampled_from("afh"), st.integers(0, 300)), max_size=12), PLACES)
def test_answers_come_in_order(asked: list[tuple[str, int]], places: list[int]) -> None:
    """Own answers, forwarded ones and those to HEAD, in the order of their requests."""
    requests = b""
    for number, (kind, size) in enumerate(asked):
        path = f"/{kind}/{number}"
        requests += get(path, method="HEAD") if kind == "h" else post(b"x" * size, path)

    async def scenario() -> None:
        served = 0

        def serve(pipe: Pipe) -> None:
            nonlocal served
            head, _, body = bytes(pipe.written[served:]).partition(b"\r\n\r\n")
            length = int(head.rpartition(b"content-length: ")[2].partition(b"\r\n")[0])
            assert len(body) == length
            served = len(pipe.written)
            path = head.split(b" ")[1]
            payload = b"" if head.startswith(b"HEAD") else path
            pipe.receive([b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(path), payload])

        desk = Desk()
        desk.route = lambda request: (
            Answer(200, request.path.encode()) if request.path.startswith("/a") else desk.forward()
        )
        memory = Memory(desk, serve)
        for part in cut(requests, places):
            memory.pipe.receive([part])
            await asyncio.sleep(0)
        for _ in range(len(asked)):
            await memory.settle()
        methods = [b"HEAD" if kind == "h" else b"POST" for kind, _ in asked]
        got = read(bytes(memory.pipe.written), methods, closed=False)
        assert [(each.status, each.whole) for each in got] == [(200, True)] * len(asked)
        for number, ((kind, _), each) in enumerate(zip(asked, got, strict=True)):
            assert each.body == (b"" if kind == "h" else f"/{kind}/{number}".encode())
        assert len(memory.pool.pipes) <= 1
        await memory.end()

    run(scenario)


@given(st.lists(st.sampled_from(SEEDS) | st.binary(max_size=50), max_size=4), PLACES)
def test_any_requests(messages: list[bytes], places: list[int]) -> None:
    """Whatever a client says, it gets HTTP: answers, then at most one refusal and the end."""

    async def scenario() -> None:
        memory = Memory(Desk(), lambda pipe: pipe.receive([OK]))
        for part in cut(b"".join(messages), places):
            memory.pipe.receive([part])
            await asyncio.sleep(0)
        for _ in messages:
            await memory.settle()
        written = bytes(memory.pipe.written)
        got = read(written, [b"GET"] * (written.count(b"HTTP/1.1 ")), closed=True)
        refused = [each.status for each in got if each.status != 200]
        assert refused == [each.status for each in got[len(got) - len(refused) :]]
        assert len(refused) <= 1
        await memory.end()

    run(scenario)
