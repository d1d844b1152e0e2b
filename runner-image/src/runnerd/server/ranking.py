"""How well documents fit a query: what is asked in several shapes, and the answer in each. Pure.

Docker Model Runner's and Jina's shape is `query`, `documents` → `results`; Cohere's documents may
be objects with a `text`; text-embeddings-inference says `texts`; vLLM's /score says `text_1`,
`text_2` (or `queries`, `documents`) → `data`. Scores are raw, as the model gives them: a client
that wants them between 0 and 1 applies the sigmoid itself, as docker-agent does.

Sources: docker/docker-agent `pkg/model/provider/dmr/embed.go`; llama.cpp tools/server/README.md
(POST /reranking); vLLM `docs/models/pooling_models.md` (Score API).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from runnerd.server.dialects import Rejection, reject

MOST: Final = 10_000
"""Documents of one request, and queries."""


class Shape(Enum):
    """How the answer looks."""

    RESULTS = "results"
    TEXTS = "texts"
    SCORES = "scores"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One query with the documents to judge by it; `places`: where their scores belong."""

    query: str
    documents: tuple[str, ...]
    places: tuple[int, ...]

    def body(self) -> bytes:
        """What the engine is asked."""
        return json.dumps({"query": self.query, "documents": self.documents}).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """A request, whatever its shape. `top`: only so many of the best; `quoting`: with the texts."""

    shape: Shape
    questions: tuple[Question, ...]
    documents: tuple[str, ...]
    top: int | None = None
    quoting: bool = False


class NoScoresError(Exception):
    """The engine's answer is none, or leaves out a document."""


class _WrongError(Exception):
    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.found = reject(400, message, param=param)


def reranking(data: Mapping[str, Any]) -> Ranking | Rejection:
    """What the object in a body of /rerank asks."""
    texts = "documents" not in data and "texts" in data
    try:
        documents = _documents(data, "texts" if texts else "documents")
        return Ranking(
            shape=Shape.TEXTS if texts else Shape.RESULTS,
            questions=_one_query(_text(data.get("query"), "query"), documents),
            documents=documents,
            top=_top(data),
            quoting=_flag(data, "return_text" if texts else "return_documents"),
        )
    except _WrongError as error:
        return error.found


def scoring(data: Mapping[str, Any]) -> Ranking | Rejection:
    """What the object in a body of /score asks."""
    pairs = (("text_1", "text_2"), ("queries", "documents"), ("query", "documents"))
    left, right = next((pair for pair in pairs if pair[0] in data), pairs[0])
    try:
        documents = _documents(data, right)
        questions = _queries(data.get(left), left, documents)
    except _WrongError as error:
        return error.found
    return Ranking(shape=Shape.SCORES, questions=questions, documents=documents)


def answered(
    asked: Ranking,
    scores: Sequence[float],
    usage: Mapping[str, int],
    *,
    model: str,
    identity: str,
    created: int,
) -> Any:
    """The JSON of the answer; `scores` belong to the documents in their order."""
    if asked.shape is Shape.SCORES:
        data = [
            {"index": place, "object": "score", "score": score}
            for place, score in enumerate(scores)
        ]
        head = {"id": f"score-{identity}", "object": "list", "created": created, "model": model}
        return {**head, "data": data, "usage": dict(usage)}
    best = sorted(range(len(scores)), key=lambda place: -scores[place])[: asked.top]
    if asked.shape is Shape.TEXTS:
        return [
            {"index": place, "score": scores[place]}
            | ({"text": asked.documents[place]} if asked.quoting else {})
            for place in best
        ]
    results = [
        {"index": place, "relevance_score": scores[place]}
        | ({"document": {"text": asked.documents[place]}} if asked.quoting else {})
        for place in best
    ]
    return {"model": model, "object": "list", "usage": dict(usage), "results": results}


def scores_of(question: Question, raw: bytes) -> tuple[list[float], dict[str, int]]:
    """The engine's scores of a question's documents in their order, and what it counted.

    Raises:
        NoScoresError: it did not say how well each of them fits.
    """
    try:
        data = json.loads(raw)
        told = {one["index"]: float(one["relevance_score"]) for one in data["results"]}
        scores = [told[place] for place in range(len(question.documents))]
        counted = data.get("usage") or {}
        usage = {name: int(counted.get(name, 0)) for name in ("prompt_tokens", "total_tokens")}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise NoScoresError from error
    return scores, usage


def _one_query(query: str, documents: tuple[str, ...]) -> tuple[Question, ...]:
    places = tuple(range(len(documents)))
    return (Question(query=query, documents=documents, places=places),)


def _queries(found: Any, name: str, documents: tuple[str, ...]) -> tuple[Question, ...]:
    """One query for all documents, or one for each; equal ones are asked once."""
    if isinstance(found, str):
        return _one_query(found, documents)
    queries = _texts(found, name)
    if len(queries) == 1:
        return _one_query(queries[0], documents)
    if len(queries) != len(documents):
        raise _WrongError(
            f"'{name}' must be one text, or as many as there are to compare with: "
            f"{len(queries)} against {len(documents)}",
            name,
        )
    places: dict[str, list[int]] = {}
    for place, query in enumerate(queries):
        places.setdefault(query, []).append(place)
    return tuple(
        Question(query=query, documents=tuple(documents[one] for one in of), places=tuple(of))
        for query, of in places.items()
    )


def _documents(data: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = data.get(name)
    return _texts([found] if isinstance(found, str) and name == "text_2" else found, name)


def _texts(found: Any, name: str) -> tuple[str, ...]:
    if not isinstance(found, list) or not found:
        raise _WrongError(f"'{name}' must be a list of at least one text", name)
    if len(found) > MOST:
        raise _WrongError(f"'{name}' holds {len(found)} texts; at most {MOST} at once", name)
    return tuple(
        _text(one.get("text") if isinstance(one, dict) else one, f"{name}[{place}]")
        for place, one in enumerate(found)
    )


def _text(found: Any, name: str) -> str:
    if not isinstance(found, str):
        raise _WrongError(f"'{name}' must be a text", name)
    return found


def _top(data: Mapping[str, Any]) -> int | None:
    found = data.get("top_n")
    if found is None:
        return None
    # Numbers of a body are floats: the digits of an integer have no bound.
    whole = isinstance(found, float | int) and not isinstance(found, bool)
    if not whole or found < 1 or found != found // 1:
        raise _WrongError("'top_n' must be a whole number of at least 1", "top_n")
    return int(min(found, MOST))


def _flag(data: Mapping[str, Any], name: str) -> bool:
    found = data.get(name)
    if found is None or isinstance(found, bool):
        return bool(found)
    raise _WrongError(f"'{name}' must be true or false", name)
