"""How Ollama's clients pull, push, copy and delete models."""

import json
from pathlib import Path
from typing import Any

import pytest

from modelrunner_protocol import dmr
from runnerd.standalone.catalogue.refusal import PullRefusedError
from tests.support.managed import LAYER, PULL, ScriptedMoves, managed, running, stock


def _lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("member", ["model", "name"])
async def test_pull(tmp_path: Path, member: str) -> None:
    """A line for each step, and a last one that says success."""
    async with (
        managed(tmp_path) as site,
        site.client.post("/api/pull", json={member: "smollm2"}) as answer,
    ):
        assert answer.content_type == "application/x-ndjson"
        layer = {"status": "pulling " + "ab" * 6, "digest": LAYER, "total": 20 << 20}
        assert _lines(await answer.text()) == [
            {**layer, "completed": 1 << 20},
            {**layer, "completed": 20 << 20},
            {"status": "success"},
        ]
        assert site.moves.asked == [("smollm2", "")]


async def test_pull_without_a_stream(tmp_path: Path) -> None:
    """One object when it is done; Docker Model Runner streams nevertheless."""
    async with managed(tmp_path) as site:
        body = {"model": "x", "stream": False}
        assert await site.ask("POST", "/api/pull", json=body) == (200, {"status": "success"})
        assert site.moves.closed == 1


@pytest.mark.parametrize("stream", [True, False])
async def test_refused_pull(tmp_path: Path, stream: bool) -> None:
    """The right status and Ollama's shape, with a stream and without."""
    moves = ScriptedMoves(refusal=PullRefusedError(404, "there is no such model"))
    async with managed(tmp_path, moves=moves) as site:
        body = {"model": "x", "stream": stream}
        found = await site.ask("POST", "/api/pull", json=body)
        assert found == (404, {"error": "there is no such model"})


async def test_failed_pull(tmp_path: Path) -> None:
    """In a stream the last line is the error; without one it is a 500. Waiting is told."""
    waits = dmr.Line(kind=dmr.Kind.PROGRESS, message="waiting for other pulls")
    warns = dmr.Line(kind=dmr.Kind.WARNING, message="odd")
    moves = ScriptedMoves([waits, warns, PULL[0], dmr.failed("gone")])
    async with managed(tmp_path, moves=moves) as site:
        async with site.client.post("/api/pull", json={"model": "x"}) as answer:
            lines = _lines(await answer.text())
        assert [one.get("status", "") for one in lines[:2]] == ["waiting for other pulls", "odd"]
        assert lines[-1] == {"error": "Error: gone"}
        body = {"model": "x", "stream": False}
        assert await site.ask("POST", "/api/pull", json=body) == (500, {"error": "Error: gone"})


async def test_push(tmp_path: Path) -> None:
    """The same with its own word."""
    line = dmr.downloaded(LAYER, size=5, current=5, total=5, way=dmr.Way.PUSH)
    async with (
        managed(tmp_path, moves=ScriptedMoves([line, dmr.pulled(dmr.Way.PUSH)])) as site,
        site.client.post("/api/push", json={"model": "x"}) as answer,
    ):
        assert _lines(await answer.text()) == [
            {"status": "pushing " + "ab" * 6, "digest": LAYER, "total": 5, "completed": 5},
            {"status": "success"},
        ]


async def test_copy_and_delete(tmp_path: Path) -> None:
    """A copy is one more tag; the model goes with its last one."""
    async with managed(tmp_path) as site:
        stored = stock(site.catalogue, tmp_path, "ai/smollm2")
        site.pool.rows = [running(stored)]
        body = {"source": "smollm2", "destination": "mine"}
        assert await site.ask("POST", "/api/copy", json=body) == (200, {})
        assert site.catalogue.find("ai/mine")
        assert await site.ask("DELETE", "/api/delete", json={"model": "mine"}) == (200, {})
        assert site.pool.unloaded == []
        assert await site.ask("DELETE", "/api/delete", json={"name": "ai/smollm2"}) == (200, {})
        assert site.catalogue.models() == []
        assert site.pool.unloaded == [frozenset({stored.identity})]


UNKNOWN = {"error": "model 'none' not found"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "told"),
    [
        ("DELETE", "/api/delete", {"model": "none"}, 404, UNKNOWN),
        ("POST", "/api/copy", {"source": "none", "destination": "b"}, 404, UNKNOWN),
        ("POST", "/api/pull", {}, 400, {"error": "model is required"}),
        ("POST", "/api/push", {"model": ""}, 400, {"error": "model is required"}),
        ("DELETE", "/api/delete", {"model": 5}, 400, {"error": "'model' must be a string"}),
        (
            "POST",
            "/api/pull",
            {"model": "x", "stream": "no"},
            400,
            {"error": "'stream' must be true or false"},
        ),
        (
            "POST",
            "/api/copy",
            {"source": "a"},
            400,
            {"error": "source and destination are required"},
        ),
    ],
)
async def test_refused(
    tmp_path: Path, method: str, path: str, body: Any, status: int, told: Any
) -> None:
    """In Ollama's shape, with the status of its own server."""
    async with managed(tmp_path) as site:
        assert await site.ask(method, path, json=body) == (status, told)


async def test_nothing_is_made_here(tmp_path: Path) -> None:
    """Modelfiles and their blobs have no meaning for this server."""
    async with managed(tmp_path) as site:
        blob = "/api/blobs/sha256:" + "a" * 64
        for method, path in (("POST", "/api/create"), ("HEAD", blob), ("POST", blob)):
            status, _ = await site.ask(method, path, data=b"{}")
            assert status == 501
        assert (await site.ask("POST", "/api/copy", data=b"{"))[0] == 400
