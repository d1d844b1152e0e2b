"""GET /engines/requests: what models were asked lately."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import make_mocked_request

from modelrunner_protocol.configure import Configuration
from runnerd.standalone.management import recorder as recording
from runnerd.standalone.management import requests as module
from tests.support.managed import Site, managed, stock

PATH = "/engines/requests"
EVENTS = {"Accept": "text/event-stream"}


def _ask(site: Site, identity: str, text: str = "hi") -> None:
    request = make_mocked_request("POST", "/v1/chat/completions")
    with site.recorder.recorded(request, text.encode(), identity=identity, model="x") as answered:
        answered(web.Response(body=b"{}"))


async def _event(answer: ClientResponse) -> tuple[str, Any]:
    """The next event's name and data; of a comment ":" and its text."""
    name, data = "", ""
    while line := (await answer.content.readline()).decode().rstrip("\n"):
        head, _, rest = line.partition(": ")
        if head == "event":
            name = rest
        elif head == "data":
            data = rest
        else:
            name, data = ":", json.dumps(line)
    return name, json.loads(data)


async def test_nothing_yet(tmp_path: Path) -> None:
    """An empty list, also for a model that nobody knows."""
    async with managed(tmp_path) as site:
        assert await site.ask("GET", PATH) == (200, [])
        assert await site.ask("GET", f"{PATH}?model=none") == (200, [])


async def test_records_by_model(tmp_path: Path) -> None:
    """One entry for each model, with its configuration; a configured one without any, too."""
    async with managed(tmp_path) as site:
        one = stock(site.catalogue, tmp_path, "ai/x")
        two = stock(site.catalogue, tmp_path, "ai/y", seed=2)
        _ask(site, one.identity)
        _ask(site, one.identity, "again")
        site.pool.configure(two.identity, Configuration(context_size=5))
        _, entries = await site.ask("GET", PATH)
        assert [(one["count"], one["model"], one["config"]) for one in entries] == [
            (2, one.identity, {}),
            (0, two.identity, {"context-size": 5}),
        ]
        assert [record["request"] for record in entries[0]["records"]] == ["hi", "again"]
        assert (await site.ask("GET", f"{PATH}?model=y"))[1] == entries[1:]


async def test_off(tmp_path: Path) -> None:
    """Who does not record says so."""
    async with managed(tmp_path, record=False) as site:
        assert await site.ask("GET", PATH) == (
            501,
            "requests are not recorded by this server\n",
        )


async def test_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that there are if asked for, then each that comes; only of the model in question."""
    monkeypatch.setattr(module, "_QUIET", 0.05)
    async with managed(tmp_path) as site:
        one = stock(site.catalogue, tmp_path, "ai/x")
        two = stock(site.catalogue, tmp_path, "ai/y", seed=2)
        _ask(site, one.identity, "old")
        query = "?model=x&include_existing=true"
        async with site.client.get(PATH + query, headers=EVENTS) as answer:
            assert answer.headers["Content-Type"] == "text/event-stream"
            name, [entry] = await _event(answer)
            assert (name, entry["model"], entry["count"]) == ("existing_request", one.identity, 1)
            assert await _event(answer) == ("connected", {"status": "connected"})
            assert await _event(answer) == (":", ": nothing new")
            _ask(site, two.identity, "other")
            _ask(site, one.identity, "new")
            found = await _event(answer)
            while found[0] == ":":
                found = await _event(answer)
            name, [entry] = found
            assert (name, entry["model"]) == ("new_request", "x")
            assert [record["request"] for record in entry["records"]] == ["new"]


async def test_listeners_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 and when to come again."""
    monkeypatch.setattr(recording, "_LISTENERS", 0)
    async with managed(tmp_path) as site, site.client.get(PATH, headers=EVENTS) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
