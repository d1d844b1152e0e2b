"""Which paths a model answers, in whose dialect. Pure.

What is not here is the back office's: lists, probes, metrics, and 404 for everything unknown.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from modelrunner.gateway.dialects import ANTHROPIC, OLLAMA, OPENAI, RESPONSES, Dialect
from modelrunner.gateway.routing.body import Peek, peek
from modelrunner.gateway.routing.ollama import question
from modelrunner.gateway.routing.responses import follow_up

ENGINES: Final = ("llama.cpp", "vllm")
"""Engines that a path may name, as Docker Model Runner's paths do."""

OPEN_PATHS: Final = frozenset({"/health", "/healthz", "/readyz", "/version"})
"""The back office's paths that never ask for a key."""

BACK_OFFICE: Final = "back_office"
"""The label of everything that no model answers."""


@dataclass(frozen=True, slots=True)
class Route:
    """A path that a runner answers (POST only): its label in metrics, its dialect, its engine.

    `streams`: it may answer with a stream; elsewhere `stream` in a body means nothing.
    `engine` is the one that the path names, "" when it names none. `piece` is a part of a stream
    without text, as JSON's members, of a route whose answers are streams unless a request says
    otherwise: Ollama's. `read` gives what routing needs of a body.
    """

    name: str
    dialect: Dialect
    streams: bool = False
    engine: str = ""
    piece: str = ""
    read: Callable[[bytes], Peek] = peek


_RESPONSES: Final = Route("responses", RESPONSES, streams=True, read=follow_up)
_OLLAMA: Final = {
    "/api/chat": Route(
        "api_chat",
        OLLAMA,
        streams=True,
        piece='"message":{"role":"assistant","content":""}',
        read=question,
    ),
    "/api/generate": Route(
        "api_generate", OLLAMA, streams=True, piece='"response":""', read=question
    ),
    "/api/embed": Route("api_embed", OLLAMA, read=question),
    "/api/embeddings": Route("api_embeddings", OLLAMA, read=question),
}
_ROUTES: Final = {
    "/v1/chat/completions": Route("chat_completions", OPENAI, streams=True),
    "/v1/completions": Route("completions", OPENAI, streams=True),
    "/v1/embeddings": Route("embeddings", OPENAI),
    "/v1/responses": _RESPONSES,
    "/responses": _RESPONSES,
    "/v1/rerank": Route("rerank", OPENAI),
    "/rerank": Route("rerank", OPENAI),
    "/score": Route("score", OPENAI),
    "/v1/score": Route("score", OPENAI),
    "/tokenize": Route("tokenize", OPENAI),
    "/detokenize": Route("detokenize", OPENAI),
    "/v1/messages": Route("messages", ANTHROPIC, streams=True),
    "/v1/messages/count_tokens": Route("count_tokens", ANTHROPIC),
}
_ENGINE_PATH: Final = re.compile(r"/engines/([^/]+)(/.+)")


def _spellings() -> dict[str, Route]:
    found = {}
    for path, route in _ROUTES.items():
        found[path] = found[f"/engines{path}"] = route
        if route.dialect is ANTHROPIC:
            found[f"/anthropic{path}"] = route
        for engine in ENGINES:
            found[f"/engines/{engine}{path}"] = replace(route, engine=engine)
    return found | _OLLAMA


KEPT: Final = _RESPONSES
"""What metrics and errors count paths of one response to; those are no model's to answer."""

ROUTES: Final = _spellings()
"""Every spelling of every path that a model answers."""


def unknown_engine(path: str) -> tuple[str, Route] | None:
    """The engine that nobody knows in a path that would else be a model's, and that route."""
    found = _ENGINE_PATH.fullmatch(path)
    if found is None:
        return None
    route = _ROUTES.get(found[2])
    return None if route is None else (found[1], route)
