"""The routes that steer a runner, and what clients see of it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.scripted_runner import SETTINGS, Served, eventually, running

CHAT = "/v1/chat/completions"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A ready runner for requests that change nothing."""
    async with running(tmp_path_factory.mktemp("control")) as served:
        yield served


async def _post(runner: Served, path: str, body: Any = None, data: bytes = b"") -> tuple[int, Any]:
    """Status and JSON (None for an empty answer) of a POST."""
    content: dict[str, Any] = {"data": data} if data else {"json": body}
    async with runner.client.post(path, **content) as answer:
        return answer.status, await answer.json() if answer.status != 204 else None


async def test_closed_door(tmp_path: Path) -> None:
    """Closed: every inference is sent elsewhere, the rest answers; then it opens again."""
    async with running(tmp_path) as runner:
        found = await runner.status()
        status, told = await _post(runner, "/close", {"lease": 60})
        assert status == 200
        assert told["closedUntil"] > told["startedAt"]
        assert told["state"] == "ready"
        for path, shape in (
            (CHAT, "error"),
            ("/anthropic/v1/messages", "type"),
            ("/score", "error"),
        ):
            async with runner.client.post(path, json={"messages": []}) as answer:
                assert answer.status == 503
                assert answer.headers["X-Runner-Draining"] == "true"
                assert answer.headers["Retry-After"] == "1"
                assert answer.headers["X-Request-Id"]
                assert shape in await answer.json()
        status, told = await runner.get("/readyz")
        assert (status, told["reason"], told["slots"]) == (503, "Draining", 2)
        assert (await runner.get("/v1/models"))[0] == 200
        async with runner.client.get("/healthz") as answer:
            assert answer.status == 200
        async with runner.client.get("/metrics") as answer:
            text = await answer.text()
        assert 'reason="closed"} 3.0\n' in text
        assert (
            'runnerd_closed{namespace="ml",model="smol",runner="cpu",engine="llama.cpp"} 1' in text
        )
        assert "lastUsedAt" not in await runner.status()
        status, told = await _post(runner, "/open")
        assert status == 200
        assert "closedUntil" not in told
        assert told["startedAt"] == found["startedAt"]
        assert (await runner.chat())[0] == 200
        assert (await runner.get("/readyz"))[1]["slots"] == 2


async def test_door_opens_by_itself(tmp_path: Path) -> None:
    """When nobody renews a lease, who waits for readiness learns of its end at once."""
    async with running(tmp_path) as runner:
        assert (await _post(runner, "/close", {"lease": 60.0}))[0] == 200
        assert (await runner.chat())[0] == 503
        assert (await _post(runner, "/close", {"lease": 0.5}))[0] == 200
        async with asyncio.timeout(8.5):
            assert (await runner.get("/readyz?wait=9"))[0] == 200
        assert (await runner.chat())[0] == 200


async def test_refused_while_used(tmp_path: Path) -> None:
    """Who is inside, who was, and who waits elsewhere keep the door open; the status says so."""
    async with running(tmp_path) as runner:
        asked = asyncio.create_task(runner.chat("wait"))
        await eventually(lambda: runner.launch.noted("asked"))
        found = await runner.status()
        last = found["lastUsedAt"]
        status, told = await _post(runner, "/close", {"lastUsedAt": last})
        assert (status, told["inFlight"]) == (409, 1)
        (tmp_path / "open").touch()
        assert (await asked)[0] == 200
        status, told = await _post(runner, "/close", {"lastUsedAt": last})
        assert (status, told["inFlight"]) == (409, 0)
        assert (await _post(runner, "/held", {"gateway": "g", "held": 2}))[0] == 204
        body = {"lastUsedAt": told["lastUsedAt"]}
        status, told = await _post(runner, "/close", body)
        assert (status, told["held"]) == (409, 2)
        assert (await _post(runner, "/held", {"gateway": "g", "held": 0}))[0] == 204
        assert (await _post(runner, "/close", body))[0] == 200


async def test_drain_finishes_what_is_inside(tmp_path: Path) -> None:
    """Closed for a drain: those inside are answered, out of the queue as well, new ones are not."""
    async with running(tmp_path, "--slots", "1") as runner:
        asked = [asyncio.create_task(runner.chat("wait")) for _ in range(6)]
        await eventually(lambda: runner.launch.noted("asked"))

        async def all_inside() -> bool:
            return bool((await runner.status())["inFlight"] == 6)

        await eventually(all_inside)
        assert (await _post(runner, "/close", {"drain": True}))[0] == 200
        assert (await runner.chat())[0] == 503
        (tmp_path / "open").touch()
        assert [status for status, _ in await asyncio.gather(*asked)] == [200] * 6
        assert (await runner.status())["inFlight"] == 0


async def test_refused_body_does_not_cost_the_answer(tmp_path: Path) -> None:
    """A client that is still sending learns that it has to go elsewhere, not of a reset."""
    size = 8_000_000
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
    async with running(tmp_path, settings=replace(SETTINGS, drain_linger=60)) as runner:
        assert (await _post(runner, "/close", {}))[0] == 200
        reader, writer = await asyncio.open_connection("127.0.0.1", runner.port)
        for stopping in (False, False, True):
            if stopping:
                runner.stop.set()
                await runner.until("draining")
            writer.write(head + b" " * size)
            await writer.drain()
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"X-Runner-Draining: true" in answer
            assert (b"Connection: close" in answer) is stopping
            await reader.readuntil(b"}}")
        assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize(
    ("path", "data", "status"),
    [
        ("/close", b"", 400),
        ("/close", b"{", 400),
        ("/close", b"[]", 400),
        ("/close", b"\xff", 400),
        ("/close", b"[" * 4000, 400),
        ("/close", b'{"lease": "30"}', 400),
        ("/close", b'{"lease": true}', 400),
        ("/close", b'{"lease": 0}', 400),
        ("/close", b'{"lease": -1}', 400),
        ("/close", b'{"lease": 301}', 400),
        ("/close", b'{"lease": NaN}', 400),
        ("/close", b'{"lease": 1e999}', 400),
        ("/close", b'{"lease": ' + b"9" * 4000 + b"}", 400),
        ("/close", b'{"lastUsedAt": 1e999}', 400),
        ("/close", b'{"drain": 1}', 400),
        ("/close", b" " * 4097, 413),
        ("/close", b'{"newer": 1, "lease": 1}', 200),
        ("/open", b"anything", 200),
        ("/open", b" " * 4097, 413),
        ("/held", b"{}", 400),
        ("/held", b'{"gateway": "", "held": 1}', 400),
        ("/held", b'{"gateway": "' + b"g" * 254 + b'", "held": 1}', 400),
        ("/held", b'{"gateway": "g", "held": -1}', 400),
        ("/held", b'{"gateway": "g", "held": 1.5}', 400),
        ("/held", b'{"gateway": "g", "held": true}', 400),
        ("/held", b'{"gateway": "g", "held": 1000001}', 400),
        ("/held", b'{"gateway": "g", "held": ' + b"9" * 4000 + b"}", 400),
        ("/held", b'{"gateway": "\\ud83d", "held": 1}', 204),
    ],
    ids=range(28),
)
@pytest.mark.asyncio(loop_scope="module")
async def test_bodies(shared: Served, path: str, data: bytes, status: int) -> None:
    """What is not the agreed message is told to be none, and changes nothing."""
    found, told = await _post(shared, path, data=data) if data else await _empty(shared, path)
    assert found == status
    if status >= 400:
        assert told["error"]["message"]
        assert "closedUntil" not in await shared.status()
    await _post(shared, "/open")


async def _empty(runner: Served, path: str) -> tuple[int, Any]:
    async with runner.client.post(path) as answer:
        return answer.status, await answer.json()


async def test_keep_alive(tmp_path: Path) -> None:
    """The newest keep_alive of any route is told to the operator; the engine never sees it."""
    async with running(tmp_path) as runner:
        assert "keepAlive" not in await runner.status()
        for given, told in (("10m", 600), (0, 0), (-1, -1), (2.5, 2.5), (None, 2.5)):
            status, answer = await runner.chat(keep_alive=given)
            assert status == 200
            assert "keep_alive" not in answer["body"]
            assert (await runner.status())["keepAlive"] == told
        body = {"messages": [], "max_tokens": 1, "keep_alive": "soon"}
        status, answer = await _post(runner, "/v1/messages", body)
        assert (status, answer["error"]["type"]) == (400, "invalid_request_error")
        assert "'keep_alive'" in answer["error"]["message"]
        assert (await runner.status())["keepAlive"] == 2.5
        async with runner.client.get("/metrics") as metrics:
            text = await metrics.text()
        assert 'runnerd_keep_alive_overrides_total{namespace="ml"' in text
        assert 'engine="llama.cpp"} 4.0\n' in text.partition("keep_alive_overrides_total{")[2]


async def test_while_loading(tmp_path: Path) -> None:
    """A door can be closed before the engine is ready, and readiness waits for both."""
    async with running(tmp_path, "--never-healthy", until="loading") as runner:
        status, told = await _post(runner, "/close", {})
        assert (status, told["state"]) == (200, "loading")
        assert "slots" not in told
        status, told = await runner.get("/readyz")
        assert (status, told["reason"], told["slots"]) == (503, "Starting", None)
        async with runner.client.post(CHAT, json={"messages": []}) as answer:
            assert answer.headers["X-Runner-Draining"] == "true"


async def test_crowded_runner_can_be_steered(tmp_path: Path) -> None:
    """No number of clients and no size of their bodies keeps the operator out."""
    settings = replace(SETTINGS, max_in_flight=1, max_held=40)
    async with running(tmp_path, settings=settings) as runner:
        asked = asyncio.create_task(runner.chat("silent"))
        await eventually(lambda: runner.launch.noted("asked"))
        assert (await runner.chat())[0] == 429
        status, told = await _post(runner, "/close", {"drain": True, "lease": 12.5})
        assert (status, told["inFlight"]) == (200, 1)
        asked.cancel()
