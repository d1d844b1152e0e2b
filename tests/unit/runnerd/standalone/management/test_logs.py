"""GET /logs: the newest lines, and those to come."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from runnerd.logs import fields
from runnerd.standalone.management import logs as module
from runnerd.standalone.management.logs import LogTail
from tests.support.managed import Site, managed

OURS = logging.getLogger("tests.logs")
ENGINE = logging.getLogger("runnerd.engines.supervisor")


@pytest.fixture(autouse=True)
def levels() -> Iterator[None]:
    """Both loggers tell everything that they are given, as the server's do."""
    for logger in (OURS, ENGINE):
        logger.setLevel(logging.INFO)
    yield
    for logger in (OURS, ENGINE):
        logger.setLevel(logging.NOTSET)
        logger.handlers.clear()


def _say(site: Site) -> None:
    for logger in (OURS, ENGINE):
        logger.addHandler(site.tail)
    OURS.info("hello", extra=fields(n=1))
    ENGINE.info("engine", extra=fields(line="llama"))
    ENGINE.info("ready", extra=fields(slots=1))


def _words(text: str) -> list[str]:
    return [json.loads(line)["msg"] for line in text.splitlines()]


async def test_lines(tmp_path: Path) -> None:
    """As they go to standard output; without the engines' own if so wished."""
    async with managed(tmp_path) as site:
        _say(site)
        async with site.client.get("/logs") as answer:
            assert (answer.status, answer.content_type) == (200, "text/plain")
            assert _words(await answer.text()) == ["hello", "engine", "ready"]
        for query in ("?no-engines=true", "?no-engines=1&follow=false"):
            assert _words((await site.ask("GET", f"/logs{query}"))[1]) == ["hello", "ready"]
        async with site.client.head("/logs?follow=true") as answer:
            assert answer.status == 200


@pytest.mark.parametrize("query", ["follow=perhaps", "no-engines=2"])
async def test_wrong_queries(tmp_path: Path, query: str) -> None:
    """400 in a sentence, as Docker Model Runner has it."""
    async with managed(tmp_path) as site:
        status, text = await site.ask("GET", f"/logs?{query}")
        assert status == 400
        assert "is not a boolean" in text


async def test_following(tmp_path: Path) -> None:
    """What comes later comes over the same connection."""
    async with managed(tmp_path) as site:
        _say(site)
        async with site.client.get("/logs?follow=true&no-engines=true") as answer:
            for word in ("hello", "ready"):
                assert _words((await answer.content.readline()).decode()) == [word]
            ENGINE.info("engine", extra=fields(line="more"))
            OURS.info("later")
            assert _words((await answer.content.readline()).decode()) == ["later"]


async def test_followers_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 and when to come again."""
    monkeypatch.setattr(module, "_FOLLOWERS", 0)
    async with managed(tmp_path) as site, site.client.get("/logs?follow=1") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "10")


def test_lines_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """In number and in length; who looks late sees those that are left."""
    monkeypatch.setattr(module, "MOST_LINES", 3)
    tail = LogTail()
    OURS.addHandler(tail)
    for number in range(5):
        OURS.info("line %d", number)
    lines, position = tail.since(0, engines=True)
    assert _words("\n".join(lines)) == ["line 2", "line 3", "line 4"]
    assert tail.since(position, engines=True) == ([], 5)
    monkeypatch.setattr(module, "_MOST_CHARACTERS", 100)
    OURS.info("x" * 200)
    assert tail.since(0, engines=True)[0] == []


async def test_long_logs_come_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are written piece by piece."""
    monkeypatch.setattr(module, "_BATCH", 100)
    async with managed(tmp_path) as site:
        OURS.addHandler(site.tail)
        for number in range(20):
            OURS.info("line %d", number)
        words = _words((await site.ask("GET", "/logs"))[1])
        assert words == [f"line {number}" for number in range(20)]
