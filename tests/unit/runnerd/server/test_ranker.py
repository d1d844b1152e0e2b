"""Ranking through a whole runner, in front of a scripted engine: the longer, the better."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelrunner_protocol.wire import Mode
from tests.support.scripted_runner import CONFIG, Served, running

RANKING = replace(CONFIG, mode=Mode.RERANKING)


async def _post(runner: Served, path: str, **body: Any) -> tuple[int, Any]:
    async with runner.client.post(path, json=body) as answer:
        return answer.status, await answer.json()


async def test_every_path(tmp_path: Path) -> None:
    """Both words under every prefix; the model is called as the client calls it."""
    async with running(tmp_path, config=RANKING) as runner:
        for prefix in ("", "/engines", "/engines/llama.cpp"):
            for path in ("/rerank", "/v1/rerank"):
                body = {"model": "gpt-x", "query": "q", "documents": ["d", "eee", "ff"]}
                status, told = await _post(runner, prefix + path, **body)
                assert status == 200
                assert told["model"] == "gpt-x"
                assert [row["index"] for row in told["results"]] == [1, 2, 0]
                assert told["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
            for path in ("/score", "/v1/score"):
                status, told = await _post(runner, prefix + path, text_1="q", text_2=["d", "eee"])
                assert status == 200
                assert (told["model"], told["object"]) == ("smol", "list")
                assert [row["score"] for row in told["data"]] == [1.0, 3.0]


async def test_warm_up(tmp_path: Path) -> None:
    """It ranks once before it is ready, and says why it could not."""
    async with running(tmp_path, "--refuse-warm-up", config=RANKING, until="") as runner:
        told = await runner.until("restarting")
        assert "the engine refused the warm-up" in told["message"]


async def test_pairs(tmp_path: Path) -> None:
    """The engine is asked once for each query, and the counts are summed up."""
    async with running(tmp_path, config=RANKING) as runner:
        status, told = await _post(
            runner, "/score", text_1=["p", "q", "p"], text_2=["d", "ee", "fff"]
        )
        assert status == 200
        assert [row["score"] for row in told["data"]] == [1.0, 2.0, 3.0]
        assert told["usage"]["total_tokens"] == 3


async def test_keep_alive(tmp_path: Path) -> None:
    """It counts here as it does elsewhere."""
    async with running(tmp_path, config=RANKING) as runner:
        body = {"query": "q", "documents": ["d"], "keep_alive": "1m"}
        assert (await _post(runner, "/rerank", **body))[0] == 200
        assert (await runner.status())["keepAlive"] == 60


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("script: failure", 500, "the computation failed"),
        ("script: rank_few", 502, "how well each document fits"),
        ("script: echo", 502, "how well each document fits"),
        ("script: parse_error", 400, "json.exception"),
    ],
)
async def test_what_the_engine_cannot_do(
    tmp_path: Path, query: str, status: int, words: str
) -> None:
    """Its errors are told as elsewhere; an answer without a score for each document is one."""
    async with running(tmp_path, config=RANKING) as runner:
        found, told = await _post(runner, "/rerank", query=query, documents=["d", "e"])
        assert found == status
        assert words in told["error"]["message"]


async def test_wrong_questions(tmp_path: Path) -> None:
    """400 with the member at fault; another model is 404, a route of another mode says so."""
    async with running(tmp_path, config=RANKING) as runner:
        status, told = await _post(runner, "/rerank", query="q", documents="d")
        assert (status, told["error"]["param"]) == (400, "documents")
        assert (await _post(runner, "/rerank", model="x", query="q"))[0] == 404
        status, told = await _post(runner, "/v1/chat/completions", messages=[])
        assert (status, told["error"]["code"]) == (400, "unsupported_mode")
        assert "config.mode completion" in told["error"]["message"]


async def test_a_model_that_does_not_rank(tmp_path: Path) -> None:
    """It says how to have one that does, before the engine is asked."""
    async with running(tmp_path) as runner:
        for path in ("/rerank", "/score"):
            status, told = await _post(runner, path, query="q", documents=["d"])
            assert (status, told["error"]["code"]) == (400, "unsupported_mode")
            assert "config.mode reranking" in told["error"]["message"]


async def test_an_engine_that_dies(tmp_path: Path) -> None:
    """A request is sent once more, to the next engine; then it is given up."""
    async with running(tmp_path, config=RANKING) as runner:
        found, told = await _post(runner, "/rerank", query="script: die", documents=["d"])
        assert found == 502
        assert told["error"]["code"] == "engine_failed"
