"""Kept connections to an engine that ends them: what is sent again, and what never is."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runnerd.config import Settings
from runnerd.engines import upstream
from runnerd.server import proxy
from tests.support.scripted_runner import SETTINGS, eventually, running


@pytest.fixture
def keeping(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a runner whose connections only the requests of a test use, however slow it is."""
    monkeypatch.setattr(upstream, "_KEEP_ALIVE", 3600.0)
    monkeypatch.setattr(proxy, "_AT_ONCE", 3600.0)
    return replace(SETTINGS, hang_timeout=0)


async def test_stale_connections(tmp_path: Path, keeping: Settings) -> None:
    """A kept connection that the living engine closed costs nothing, be all of them closed."""
    async with running(tmp_path, settings=keeping) as runner:
        kept = [asyncio.create_task(runner.chat("wait")) for _ in range(3)]
        await eventually(lambda: runner.launch.noted("asked"))
        (tmp_path / "open").touch()
        await asyncio.gather(*kept)
        for number in range(3):
            status, answer = await runner.chat("hang_up", number=number)
            assert (status, answer["body"]["number"]) == (200, number)
        seen = _seen(tmp_path)
        assert seen[:2] == ["again", "fresh"]
        assert seen.count("fresh") == 3
        assert (await runner.status())["restarts"] == 0


@pytest.mark.parametrize(
    ("script", "seen"),
    [
        # Nothing came, and the connection was not new: it had ended before the request.
        ({"each": True}, ["again", "fresh"]),
        # An answer had begun.
        ({"said": "HTTP/1.1 200 OK\r\nContent-"}, ["again"]),
        ({"said": "H"}, ["again"]),
    ],
    ids=["nothing", "half a head", "one byte"],
)
async def test_nothing_is_done_twice(
    tmp_path: Path, keeping: Settings, script: dict[str, Any], seen: list[str]
) -> None:
    """What a living engine may have read, on a new connection, is not sent to it again: 502."""
    async with running(tmp_path, settings=keeping) as runner:
        status, answer = await runner.chat("hang_up", **script)
        assert (status, answer["error"]["code"]) == (502, "engine_failed")
        assert answer["error"]["message"] == "the engine closed the connection"
        assert _seen(tmp_path) == seen
        assert (await runner.chat())[0] == 200
        assert (await runner.status())["restarts"] == 0


async def test_nothing_is_done_twice_that_was_worked_on(
    tmp_path: Path, keeping: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kept connection that ends late had not ended before: 502, and the next request goes on."""
    monkeypatch.setattr(proxy, "_AT_ONCE", 0.0)
    async with running(tmp_path, settings=keeping) as runner:
        status, answer = await runner.chat("hang_up")
        assert (status, answer["error"]["code"]) == (502, "engine_failed")
        assert _seen(tmp_path) == ["again"]
        assert (await runner.chat())[0] == 200
        assert (await runner.status())["restarts"] == 0


def _seen(folder: Path) -> list[str]:
    """On what kind of connection the engine met the requests that it hung up on."""
    return (folder / "seen").read_text(encoding="utf-8").split()
