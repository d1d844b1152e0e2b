"""Pulls and pushes, told line by line."""

import asyncio
import html
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from modelrunner_protocol import dmr
from runnerd.standalone.catalogue.refusal import PullRefusedError
from tests.support.managed import LAYER, PULL, ScriptedMoves, Site, managed
from tests.support.scripted_runner import eventually

CREATE = "/models/create"
LINES = [
    {
        "type": "progress",
        "message": "Downloaded: 1.00 MB",
        "total": 20 << 20,
        "layer": {"id": LAYER, "size": 20 << 20, "current": 1 << 20},
        "mode": "pull",
    },
    {
        "type": "progress",
        "message": "Downloaded: 20.00 MB",
        "total": 20 << 20,
        "layer": {"id": LAYER, "size": 20 << 20, "current": 20 << 20},
        "mode": "pull",
    },
    {
        "type": "success",
        "message": "Model pulled successfully",
        "total": 0,
        "layer": {"size": 0, "current": 0},
        "mode": "pull",
    },
]


async def _post(
    site: Site, path: str, body: Any, **headers: str
) -> tuple[int, dict[str, str], str]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with site.client.post(path, data=data, headers=headers) as answer:
        return answer.status, dict(answer.headers), await answer.text()


async def test_lines_in_json(tmp_path: Path) -> None:
    """For `Accept: application/json`, one object per line; the token goes to the registry only."""
    async with managed(tmp_path) as site:
        body = {"from": "ai/smollm2", "bearer-token": "secret"}
        status, headers, text = await _post(site, CREATE, body, Accept="application/json")
        assert status == 200
        assert headers["Content-Type"] == "application/json"
        assert headers["Cache-Control"] == "no-cache"
        assert [json.loads(line) for line in text.splitlines()] == LINES
        assert site.moves.asked == [("ai/smollm2", "secret")]
        assert site.moves.closed == 1


@pytest.mark.parametrize("accept", ["", "*/*", "text/event-stream", "application/json, */*"])
async def test_lines_in_text(tmp_path: Path, accept: str) -> None:
    """For everything else they are escaped, as the command line expects it."""
    async with managed(tmp_path) as site:
        _, headers, text = await _post(site, CREATE, {"from": "ai/smollm2"}, Accept=accept)
        assert headers["Content-Type"] == "text/plain"
        assert '"' not in text
        assert [json.loads(html.unescape(line)) for line in text.splitlines()] == LINES


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{not json", "invalid request body: it is not JSON"),
        (b"\xff\xfe", "invalid request body: it is not JSON"),
        (b"[" * 100_000, "invalid request body: it is not JSON"),
        ([], "invalid request body: it must be a JSON object"),
        ({}, "from is required"),
        ({"from": 5}, "from must be a string"),
    ],
)
async def test_wrong_bodies(tmp_path: Path, body: Any, says: str) -> None:
    """400 in a sentence; nothing is asked of a registry."""
    async with managed(tmp_path) as site:
        status, headers, text = await _post(site, CREATE, body)
        assert (status, headers["Content-Type"]) == (400, "text/plain; charset=utf-8")
        assert says in text
        assert site.moves.asked == []


@pytest.mark.parametrize("status", [400, 401, 404, 422, 500])
async def test_refused_before_the_first_line(tmp_path: Path, status: int) -> None:
    """The status and the sentence are the pull's."""
    moves = ScriptedMoves(refusal=PullRefusedError(status, "not for you"))
    async with managed(tmp_path, moves=moves) as site:
        found = await _post(site, CREATE, {"from": "ai/x"}, Accept="application/json")
        assert (found[0], found[2]) == (status, "not for you\n")


async def test_failed_after_the_first_line(tmp_path: Path) -> None:
    """The status is told already; the last line is the error."""
    moves = ScriptedMoves([PULL[0], dmr.failed("the registry is gone")])
    async with managed(tmp_path, moves=moves) as site:
        status, _, text = await _post(site, CREATE, {"from": "ai/x"}, Accept="application/json")
        assert status == 200
        last = json.loads(text.splitlines()[-1])
        assert (last["type"], last["message"]) == ("error", "Error: the registry is gone")


async def test_an_error_of_ours_on_the_way(tmp_path: Path) -> None:
    """Its insides stay in the log."""

    class Broken(ScriptedMoves):
        async def _say(self, name: str, token: str) -> AsyncGenerator[dmr.Line, None]:
            yield PULL[0]
            raise RuntimeError(f"secret {name} {token}")

    async with managed(tmp_path, moves=Broken()) as site:
        _, _, text = await _post(site, CREATE, {"from": "ai/x"}, Accept="application/json")
        last = json.loads(text.splitlines()[-1])
        assert last["message"] == "Error: the server failed; its log tells more"


async def test_a_client_that_leaves_ends_its_pull(tmp_path: Path) -> None:
    """The iterator is closed, so that nobody pulls for nobody."""

    class Slow(ScriptedMoves):
        async def _say(self, name: str, token: str) -> AsyncGenerator[dmr.Line, None]:
            try:
                yield PULL[0]
                await asyncio.Event().wait()
            finally:
                self.closed += 1

    moves = Slow()
    async with managed(tmp_path, moves=moves) as site:
        async with site.client.post(CREATE, json={"from": "ai/x"}) as answer:
            await answer.content.readline()
            assert moves.closed == 0
        await eventually(lambda: moves.closed == 1)


@pytest.mark.parametrize("body", [b"", b" \n", b"{}", b'{"bearer-token": "secret"}'])
async def test_push(tmp_path: Path, body: bytes) -> None:
    """A body is not needed; the name stands in the path."""
    moves = ScriptedMoves(
        [
            dmr.downloaded(LAYER, size=1, current=1, total=1, way=dmr.Way.PUSH),
            dmr.pulled(dmr.Way.PUSH),
        ]
    )
    async with managed(tmp_path, moves=moves) as site:
        status, _, text = await _post(
            site, "/models/localhost:5000%2Fai/x:v1/push", body, Accept="application/json"
        )
        assert status == 200
        modes = [json.loads(line)["mode"] for line in text.splitlines()]
        assert modes == ["push", "push"]
        token = "secret" if b"secret" in body else ""
        assert moves.asked == [("localhost:5000/ai/x:v1", token)]


async def test_push_with_a_wrong_body(tmp_path: Path) -> None:
    """400, as for a pull."""
    async with managed(tmp_path) as site:
        assert (await _post(site, "/models/ai/x/push", b"{"))[0] == 400
        assert (await _post(site, "/models/ai/x/push", {"bearer-token": 1}))[0] == 400
