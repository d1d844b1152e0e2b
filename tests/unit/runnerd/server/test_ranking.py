"""What is asked of a model that ranks, and what it is told as, without a server."""

from typing import Any

import pytest

from runnerd.server.dialects import Rejection
from runnerd.server.ranking import (
    MOST,
    NoScoresError,
    Question,
    Ranking,
    Shape,
    answered,
    reranking,
    scores_of,
    scoring,
)

USAGE = {"prompt_tokens": 4, "total_tokens": 4}


def _reranked(**members: Any) -> Ranking:
    found = reranking({"query": "q", **members})
    assert isinstance(found, Ranking)
    return found


def _scored(**members: Any) -> Ranking:
    found = scoring(members)
    assert isinstance(found, Ranking)
    return found


def _answer(asked: Ranking, *scores: float) -> Any:
    return answered(asked, scores, USAGE, model="alias", identity="i", created=7)


def test_docker_model_runners_shape() -> None:
    """One result for each document with the raw score, the best first, and the client's name."""
    asked = _reranked(documents=["d", "e", "f"])
    assert asked.questions == (Question(query="q", documents=("d", "e", "f"), places=(0, 1, 2)),)
    assert asked.questions[0].body() == b'{"query": "q", "documents": ["d", "e", "f"]}'
    assert _answer(asked, -0.8, 2.5, -0.8) == {
        "model": "alias",
        "object": "list",
        "usage": USAGE,
        "results": [
            {"index": 1, "relevance_score": 2.5},
            {"index": 0, "relevance_score": -0.8},
            {"index": 2, "relevance_score": -0.8},
        ],
    }


def test_coheres_shape() -> None:
    """Documents as objects, the best few of them, with their texts."""
    asked = _reranked(
        documents=[{"text": "d", "title": "t"}, "e"], top_n=1.0, return_documents=True
    )
    assert _answer(asked, 1.0, 0.5)["results"] == [
        {"index": 0, "relevance_score": 1.0, "document": {"text": "d"}}
    ]
    many = _reranked(documents=["d"], top_n=1e300, return_documents=None)
    assert [row["index"] for row in _answer(many, 1.0)["results"]] == [0]


def test_shape_of_text_embeddings_inference() -> None:
    """`texts` are answered with a list."""
    asked = _reranked(texts=["d", "e"])
    assert asked.shape is Shape.TEXTS
    assert _answer(asked, 0.0, 1.0) == [{"index": 1, "score": 1.0}, {"index": 0, "score": 0.0}]
    quoting = _answer(_reranked(texts=["d"], return_text=True), 0.5)
    assert quoting == [{"index": 0, "score": 0.5, "text": "d"}]


@pytest.mark.parametrize(
    "members",
    [
        {"text_1": "q", "text_2": ["d", "e"]},
        {"text_1": ["q"], "text_2": ["d", "e"]},
        {"queries": "q", "documents": ["d", "e"]},
        {"query": "q", "documents": ["d", "e"]},
    ],
)
def test_vllms_shape(members: dict[str, Any]) -> None:
    """One query for all, whatever the members are called; scores in the documents' order."""
    asked = _scored(**members)
    assert asked.questions == (Question(query="q", documents=("d", "e"), places=(0, 1)),)
    assert _answer(asked, 0.5, 2.0) == {
        "id": "score-i",
        "object": "list",
        "created": 7,
        "model": "alias",
        "data": [
            {"index": 0, "object": "score", "score": 0.5},
            {"index": 1, "object": "score", "score": 2.0},
        ],
        "usage": USAGE,
    }


def test_pairs() -> None:
    """As many queries as documents: each with its own, and equal ones together."""
    asked = _scored(text_1=["p", "q", "p"], text_2=["d", "e", "f"])
    assert asked.questions == (
        Question(query="p", documents=("d", "f"), places=(0, 2)),
        Question(query="q", documents=("e",), places=(1,)),
    )
    single = _scored(text_1="q", text_2="d")
    assert single.questions == (Question(query="q", documents=("d",), places=(0,)),)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({}, "documents"),
        ({"documents": []}, "documents"),
        ({"documents": "d"}, "documents"),
        ({"documents": [5]}, "documents[0]"),
        ({"documents": ["d", {"title": "t"}]}, "documents[1]"),
        ({"documents": ["d"] * (MOST + 1)}, "documents"),
        ({"texts": 1}, "texts"),
        ({"documents": ["d"], "query": 5}, "query"),
        ({"documents": ["d"], "query": None}, "query"),
        ({"documents": ["d"], "top_n": 0}, "top_n"),
        ({"documents": ["d"], "top_n": 1.5}, "top_n"),
        ({"documents": ["d"], "top_n": True}, "top_n"),
        ({"documents": ["d"], "top_n": "2"}, "top_n"),
        ({"documents": ["d"], "top_n": float("inf")}, "top_n"),
        ({"documents": ["d"], "return_documents": "yes"}, "return_documents"),
    ],
)
def test_a_wrong_question(members: dict[str, Any], param: str) -> None:
    """It is the client's error, with the member at fault."""
    found = reranking({"query": "q", **members})
    assert isinstance(found, Rejection)
    assert (found.status, found.param) == (400, param)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({}, "text_2"),
        ({"text_2": "d"}, "text_1"),
        ({"text_1": "q"}, "text_2"),
        ({"text_1": ["p", "q"], "text_2": ["d"]}, "text_1"),
        ({"text_1": [], "text_2": ["d"]}, "text_1"),
        ({"query": ["p", 5], "documents": ["d", "e"]}, "query[1]"),
    ],
)
def test_wrong_pairs(members: dict[str, Any], param: str) -> None:
    """The same for /score."""
    found = scoring(members)
    assert isinstance(found, Rejection)
    assert (found.status, found.param) == (400, param)


def test_what_the_engine_says() -> None:
    """Its rows are sorted by score; what it counts may be missing."""
    question = Question(query="q", documents=("d", "e"), places=(0, 1))
    raw = b'{"results": [{"index": 1, "relevance_score": 3}, {"index": 0, "relevance_score": 1}]}'
    assert scores_of(question, raw) == ([1.0, 3.0], {"prompt_tokens": 0, "total_tokens": 0})


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b'{"results": []}',
        b'{"results": [{"index": 1, "relevance_score": 3}]}',
        b'{"results": [{"index": 0, "relevance_score": "x"}]}',
        b'{"results": [{"index": 0, "relevance_score": null}]}',
        b'{"results": [{"index": 0, "relevance_score": 1}], "usage": 5}',
        b'{"results": [{"index": [], "relevance_score": 1}]}',
    ],
)
def test_what_the_engine_should_not_say(raw: bytes) -> None:
    """Less than one score for each document is none."""
    with pytest.raises(NoScoresError):
        scores_of(Question(query="q", documents=("d",), places=(0,)), raw)
