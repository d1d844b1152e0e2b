"""The client's streams: events as they come, and every way in which a stream ends."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from modelrunner.kube.client import KubeClient
from modelrunner.kube.errors import Gone, Invalid, KubeError, Unavailable
from modelrunner.kube.resources import PODS
from tests.unit.modelrunner.kube.served_api import Handler, talking


def streaming(*parts: bytes, wait: asyncio.Event | None = None) -> Handler:
    """A handler that sends `parts` one by one, then waits if told so, and ends."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for part in parts:
            await response.write(part)
        if wait is not None:
            await wait.wait()
        return response

    return handler


async def collected(client: KubeClient, **options: Any) -> list[tuple[str, Any]]:
    """All events of a stream."""
    async with client.watch(PODS, "ns", resource_version="7", **options) as events:
        return [event async for event in events]


async def test_a_watch_says_from_where_and_reads_events_however_they_are_cut(
    tmp_path: Path,
) -> None:
    """Lines may come in pieces or many at once; half a line at the end is nothing."""
    lines = b"".join(
        json.dumps({"type": kind, "object": {"n": "\u00e4"}}).encode() + b"\n"
        for kind in ("ADDED", "BOOKMARK")
    )
    asked: list[web.Request] = []
    whole = streaming(*[lines[i : i + 1] for i in range(len(lines))], lines + b'{"type": "DEL')

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        return await whole(request)

    async with talking(tmp_path, handler) as client:
        found = await collected(client, label_selector="a=b", seconds=33.4)
    assert found == [("ADDED", {"n": "ä"}), ("BOOKMARK", {"n": "ä"})] * 2
    assert dict(asked[0].query) == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "7",
        "timeoutSeconds": "33",
        "labelSelector": "a=b",
    }
    assert asked[0].path == "/api/v1/namespaces/ns/pods"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}', Gone),
        (b'{"type": "ERROR", "object": {"code": 500}}', Unavailable),
        (b'{"type": "ERROR", "object": "?"}', Unavailable),
        (b"<html>", Unavailable),
        (b"[]", Unavailable),
        (b"", Unavailable),
    ],
)
async def test_an_error_within_a_stream_is_raised(
    tmp_path: Path, line: bytes, expected: type[KubeError]
) -> None:
    """What came before it has been told."""
    before = b'{"type": "ADDED", "object": {}}\n'
    async with talking(tmp_path, streaming(before, line + b"\n")) as client:
        found: list[str] = []
        with pytest.raises(expected):
            async with client.watch(PODS, resource_version="7") as events:
                found += [kind async for kind, _ in events]


async def test_a_refused_watch_is_known_on_entering(tmp_path: Path) -> None:
    """410 as an HTTP status means the same as in the stream."""

    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"reason": "Expired", "message": "too old"}, status=410)

    async with talking(tmp_path, handler) as client:
        with pytest.raises(Gone, match="too old"):
            await collected(client)


async def test_a_silent_stream_is_dead(tmp_path: Path) -> None:
    """A connection whose other end vanished says nothing, for ever."""
    released = asyncio.Event()
    async with talking(tmp_path, streaming(wait=released)) as client:
        with pytest.raises(Unavailable, match="Unreachable"):
            await collected(client, idle=0.1)
        released.set()


async def test_an_endless_line_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong server cannot fill our memory by a stream either."""
    monkeypatch.setattr("modelrunner.kube.transport._LONGEST_LINE", 1000)
    async with talking(tmp_path, streaming(b"x" * 5000)) as client:
        with pytest.raises(Invalid, match="TooLarge"):
            await collected(client)


async def test_a_stream_ends_with_the_client(tmp_path: Path) -> None:
    """Whoever waits for an event hears that there will be none."""
    released = asyncio.Event()
    first = b'{"type": "ADDED", "object": {}}\n'
    async with talking(tmp_path, streaming(first, wait=released)) as client:
        async with client.watch(PODS, resource_version="7") as events:
            assert await anext(events) == ("ADDED", {})
            waiting = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            await client.close()
            with pytest.raises(Unavailable):
                await asyncio.wait_for(waiting, 60)
        with pytest.raises(Unavailable, match="closed"):
            await collected(client)
        released.set()
