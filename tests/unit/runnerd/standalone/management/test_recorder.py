"""The newest requests of each model, within bounds."""

import asyncio
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from runnerd.server.proxy import HEARD
from runnerd.standalone.management import recorder as module
from runnerd.standalone.management.recorder import KEPT, LONGEST, Recorder


def _request(path: str = "/v1/chat/completions", **headers: str) -> web.Request:
    return make_mocked_request("POST", path, headers=headers)


def _record(
    recorder: Recorder, raw: bytes = b"{}", *, identity: str = "sha256:1", answer: bytes = b"ok"
) -> None:
    with recorder.recorded(_request(), raw, identity=identity, model="ai/x") as answered:
        answered(web.Response(body=answer))


@pytest.fixture
def clock() -> Iterator[Any]:
    """Each look at it is a second later."""
    seconds = count(1000.0)
    return iter(seconds)


def test_a_record(clock: Any) -> None:
    """What is told of a request has Docker Model Runner's members, and no secret."""
    recorder = Recorder(now=lambda: next(clock))
    request = _request(
        "/engines/v1/chat/completions?api_key=secret",
        **{
            "User-Agent": "me/1",
            "Origin": "http://localhost",
            "Authorization": "Bearer secret",
            "X-Api-Key": "secret",
            "Cookie": "secret",
        },
    )
    with recorder.recorded(request, b'{"a": 1}', identity="sha256:1", model="ai/x") as answered:
        answered(web.Response(body=b'{"b": 2}'))
    [record] = recorder.records("sha256:1")
    assert record.told() == {
        "id": "sha256:1_1000000000000",
        "model": "ai/x",
        "method": "POST",
        "url": "/engines/v1/chat/completions",
        "request": '{"a": 1}',
        "response": '{"b": 2}',
        "timestamp": 1000,
        "status_code": 200,
        "user_agent": "me/1",
        "origin": "http://localhost",
    }
    assert "secret" not in repr(record)


def test_an_error_is_told_as_one() -> None:
    """What is absent has no member."""
    recorder = Recorder()
    with recorder.recorded(_request(), b"{}", identity="i", model="m") as answered:
        answered(web.Response(status=404, body=b"no"))
    told = recorder.records("i")[0].told()
    assert told["error"] == "no"
    assert not {"response", "user_agent", "origin"} & set(told)


def test_a_stream_is_heard_piece_by_piece() -> None:
    """The pieces that went to the client are what is kept, up to a bound."""
    recorder = Recorder()
    request = _request()
    with recorder.recorded(request, b"{}", identity="i", model="m") as answered:
        for piece in (b"a" * LONGEST, b"bc", b"d"):
            request[HEARD](piece)
        answered(web.StreamResponse())
    record = recorder.records("i")[0]
    assert record.size == LONGEST + 3
    assert record.weight == LONGEST + 2
    assert record.told()["response"].endswith("...[truncated 3 bytes]")


async def test_a_client_that_leaves_is_recorded_too() -> None:
    """There is no answer, and the status says that it took too long for somebody."""
    recorder = Recorder()
    with (
        pytest.raises(asyncio.CancelledError),
        recorder.recorded(_request(), b"{}", identity="i", model="m"),
    ):
        raise asyncio.CancelledError
    assert recorder.records("i")[0].told()["status_code"] == 408


def test_only_the_newest_are_kept() -> None:
    """Ten of each model."""
    recorder = Recorder()
    for number in range(KEPT + 5):
        _record(recorder, str(number).encode())
    _record(recorder, b"other", identity="sha256:2")
    kept = [record.request for record in recorder.records("sha256:1")]
    assert kept == [str(number).encode() for number in range(5, KEPT + 5)]
    assert recorder.identities() == ["sha256:1", "sha256:2"]


def test_all_together_are_bounded(monkeypatch: pytest.MonkeyPatch, clock: Any) -> None:
    """However many models there are, the oldest go first."""
    monkeypatch.setattr(module, "_BUDGET", 100)
    recorder = Recorder(now=lambda: next(clock))
    for number in range(50):
        _record(recorder, b"x" * 20, identity=f"sha256:{number}", answer=b"")
    assert recorder.identities() == [f"sha256:{number}" for number in range(45, 50)]
    _record(recorder, b"x" * 200, identity="large", answer=b"")
    assert recorder.identities() == []


def test_what_was_deleted_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes are free again."""
    monkeypatch.setattr(module, "_BUDGET", 100)
    recorder = Recorder()
    _record(recorder, b"x" * 90, identity="a", answer=b"")
    recorder.forget("a")
    recorder.forget("b")
    _record(recorder, b"x" * 90, identity="b", answer=b"")
    assert recorder.identities() == ["b"]


def test_off_costs_nothing() -> None:
    """Nothing is kept, and no stream is listened to."""
    recorder = Recorder(enabled=False)
    request = _request()
    with recorder.recorded(request, b"{}", identity="i", model="m") as answered:
        answered(web.Response(body=b"x"))
    assert HEARD not in request
    assert recorder.identities() == []


async def test_listeners_get_what_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gets every record; one that takes too little misses some, and nobody waits for it."""
    monkeypatch.setattr(module, "_BACKLOG", 2)
    monkeypatch.setattr(module, "_LISTENERS", 2)
    recorder = Recorder()
    with recorder.listening() as one, recorder.listening() as two, recorder.listening() as three:
        assert one is not None
        assert two is not None
        assert three is None
        for number in range(3):
            _record(recorder, str(number).encode())
            if number == 0:
                assert (await one.get()).request == b"0"
        assert [one.get_nowait().request for _ in range(one.qsize())] == [b"1", b"2"]
        assert [two.get_nowait().request for _ in range(two.qsize())] == [b"0", b"1"]
    with recorder.listening() as again:
        assert again is not None
