"""What an engine is started for, and with what beside it, on the real llama-server."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelrunner_protocol.wire import Draft, Mode
from tests.integration.runnerd.conftest import Process
from tests.support.engine import Engine
from tests.support.ranker_model import ranker_model

pytestmark = pytest.mark.engine

Serve = Callable[..., Process]

PREFIXES = ("", "/engines", "/engines/llama.cpp")
USER = [{"role": "user", "content": "Tell me about Paris"}]


@pytest.fixture(scope="module")
def ranking(serve: Serve) -> Process:
    """A chat model that was started to rank: Docker Model Runner does that, too."""
    process = serve(mode=Mode.RERANKING, context_size=512)
    process.until("ready")
    return process


@pytest.mark.parametrize("prefix", PREFIXES)
def test_ranking(ranking: Process, prefix: str) -> None:
    """One result for each document, the best first, with the raw score; the client's name."""
    documents = ["Paris is in France", "e", "", "Rome", "Rome"]
    body = {"model": "ml/smol", "query": "Where is Paris?", "documents": documents}
    for path in ("/rerank", "/v1/rerank"):
        answer = ranking.http.post(prefix + path, json=body)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert (found["model"], found["object"]) == ("ml/smol", "list")
        assert found["usage"]["total_tokens"] > 0
        scores = [row["relevance_score"] for row in found["results"]]
        assert {row["index"] for row in found["results"]} == {0, 1, 2, 3, 4}
        assert scores == sorted(scores, reverse=True)
        assert not all(0 <= score <= 1 for score in scores)
    for path in ("/score", "/v1/score"):
        data = ranking.http.post(prefix + path, json=body).json()["data"]
        assert [row["index"] for row in data] == [0, 1, 2, 3, 4]


def test_scores_belong_to_texts(serve: Serve, tmp_path: Path) -> None:
    """With weights made for it: raw scores, the same for the same text, however it is asked."""
    weights = tmp_path / "ranker.gguf"
    weights.write_bytes(ranker_model())
    runner = serve(mode=Mode.RERANKING, weights=str(weights), context_size=256)
    runner.until("ready")
    query, documents = "where is paris", ["paris in france", "rome in italy", "paris in france"]
    asked = {"model": "smol", "query": query, "documents": documents}
    results = runner.http.post("/rerank", json=asked).json()["results"]
    ranked = {row["index"]: row["relevance_score"] for row in results}
    assert ranked[0] == ranked[2] != ranked[1]
    assert all(score < 0 for score in ranked.values())
    data = runner.http.post("/score", json={"text_1": query, "text_2": documents}).json()["data"]
    assert [row["score"] for row in data] == [ranked[0], ranked[1], ranked[2]]
    pairs = {"text_1": [query, documents[1], query], "text_2": documents}
    told = [row["score"] for row in runner.http.post("/score", json=pairs).json()["data"]]
    assert (told[0], told[2]) == (ranked[0], ranked[2])
    assert told[1] != ranked[1]
    best = runner.http.post("/rerank", json={**asked, "top_n": 1}).json()["results"]
    assert best == [max(results, key=lambda row: row["relevance_score"])]
    # What the model has too little room for is the client's error.
    long = runner.http.post("/rerank", json={**asked, "documents": ["rome " * 400]})
    assert long.status_code == 400, long.text
    assert runner.stop() == 0


def test_what_rankers_take(ranking: Process) -> None:
    """Cohere's and Jina's members, and those of text-embeddings-inference and vLLM."""
    asked: dict[str, Any] = {"query": "q", "documents": [{"text": "d"}, "e"], "top_n": 1}
    found = ranking.http.post("/rerank", json={**asked, "return_documents": True}).json()
    assert len(found["results"]) == 1
    assert found["results"][0]["document"]["text"] in {"d", "e"}
    texts = ranking.http.post("/rerank", json={"query": "q", "texts": ["d", "e"]}).json()
    assert {row["index"] for row in texts} == {0, 1}
    pairs = {"text_1": ["p", "q"], "text_2": ["d", "e"], "keep_alive": 60}
    data = ranking.http.post("/score", json=pairs).json()["data"]
    assert [row["index"] for row in data] == [0, 1]
    assert ranking.status()["keepAlive"] == 60


def test_wrong_questions(ranking: Process) -> None:
    """What is no question is 400, and so is what this engine was not started for."""
    wrongs: tuple[Any, ...] = (
        {},
        {"query": 5, "documents": ["b"]},
        {"query": "a", "documents": "b"},
    )
    for wrong in (*wrongs, {"query": "q", "documents": ["d"], "top_n": 0}):
        for path in ("/rerank", "/score"):
            if path == "/rerank" or "top_n" not in wrong:
                answer = ranking.http.post(path, json=wrong)
                assert answer.status_code == 400, answer.text
    for path in ("/v1/chat/completions", "/v1/messages", "/v1/embeddings"):
        answer = ranking.http.post(path, json={"messages": USER, "input": "x"})
        assert answer.status_code == 400
        assert "runs in mode reranking" in answer.text


def test_ranking_by_flag_alone(serve: Serve) -> None:
    """A Model from before the mode has only the flag, and goes on ranking."""
    runner = serve(runtime_flags=("--reranking",), context_size=512)
    runner.until("ready")
    answer = runner.http.post("/rerank", json={"query": "q", "documents": ["d"]})
    assert answer.status_code == 200, answer.text
    assert runner.stop() == 0


def _spoken(metrics: str, name: str) -> float:
    found = re.search(rf"^llamacpp:{name}\{{[^}}]*\}} (\S+)$", metrics, re.MULTILINE)
    assert found, name
    return float(found[1])


def test_a_draft_model(serve: Serve, engine: Engine) -> None:
    """It writes ahead, and how often it is right can be seen in the metrics."""
    draft = Draft(weights=str(engine.model), max_tokens=4, min_probability=0.5)
    runner = serve(draft=draft, context_size=512)
    runner.until("ready")
    answer = runner.chat("Tell me about Paris", max_tokens=48, temperature=0)
    assert answer.status_code == 200, answer.text
    metrics = runner.metrics()
    drafted = _spoken(metrics, "spec_decode_num_draft_tokens_total")
    accepted = _spoken(metrics, "spec_decode_num_accepted_tokens_total")
    assert 0 < accepted <= drafted
    assert 'model="smol"' in metrics.split("llamacpp:spec_decode_num_accepted_tokens_total{")[1]
    assert runner.stop() == 0


@pytest.mark.parametrize(("size", "told"), [(1536, 1536), (-1, 8192)])
def test_context_size(serve: Serve, size: int, told: int) -> None:
    """The engine has the context that was asked for; -1: what the model was trained for."""
    runner = serve(context_size=size)
    runner.until("ready")
    found = runner.ask_engine("/props")["default_generation_settings"]["n_ctx"]
    assert found == told
    assert runner.stop() == 0


def test_streams_that_begin_with_half_an_emoji(serve: Serve) -> None:
    """llama-server leaves out their first event, without which Anthropic's client dies."""
    runner = serve(runtime_flags=("--grammar", 'root ::= "\U0001f600" [a-z]+'), aliases=("x",))
    runner.until("ready")
    asked = {"model": "x", "max_tokens": 6, "messages": USER}
    text = _stream(runner, "/v1/messages", asked)
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    assert [event["type"] for event in events].count("message_start") == 1
    start = events[0]["message"]
    assert (events[0]["type"], start["model"], start["role"]) == ("message_start", "x", "assistant")
    counted = runner.http.post("/v1/messages/count_tokens", json=asked).json()["input_tokens"]
    assert start["usage"]["input_tokens"] == counted > 0
    assert "\U0001f600" in text
    chat = _stream(runner, "/v1/chat/completions", asked)
    first = json.loads(chat.split("\n")[0].removeprefix("data: "))
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "\U0001f600"}
    assert chat.count('"role"') == 1
    assert runner.stop() == 0


def _stream(runner: Process, path: str, body: dict[str, Any]) -> str:
    with runner.http.stream("POST", path, json={**body, "stream": True}) as answer:
        assert answer.status_code == 200
        return answer.read().decode()
