"""The paths of a runner. Pure."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from modelrunner_protocol.wire import Mode
from runnerd.ollama.asked import Kind
from runnerd.server.dialects import Dialect

MODELS: Final = "/v1/models"
IMAGES: Final = "/v1/images/generations"
_SLASHES: Final = re.compile("/{2,}")


@dataclass(frozen=True, slots=True)
class Inference:
    """A path that the engine answers: its label in metrics, the engine's path, its mode.

    Without a mode it is the engine that says whether it was started for this. `messages`: the
    body must hold a list of them. `kind`: it is a question of Ollama's, and put in other words.
    """

    name: str
    path: str
    mode: Mode | None
    messages: bool = False
    dialect: Dialect = Dialect.OPENAI
    kind: Kind | None = None


RERANK: Final = Inference("rerank", "/v1/rerank", Mode.RERANKING)
DETOKENIZE: Final = Inference("detokenize", "/detokenize", None)
SCORE: Final = Inference("score", "/score", Mode.RERANKING)
_RESPONSES: Final = Inference(
    "responses", "/v1/responses", Mode.COMPLETION, dialect=Dialect.RESPONSES
)
_ANTHROPIC: Final = tuple(
    Inference(name, path, Mode.COMPLETION, messages=True, dialect=Dialect.ANTHROPIC)
    for name, path in (
        ("messages", "/v1/messages"),
        ("count_tokens", "/v1/messages/count_tokens"),
    )
)
_OLLAMA: Final = {
    f"/api/{kind.value}": Inference(
        f"api_{kind.value}", f"/api/{kind.value}", mode, dialect=Dialect.OLLAMA, kind=kind
    )
    for kind, mode in (
        (Kind.CHAT, Mode.COMPLETION),
        (Kind.GENERATE, Mode.COMPLETION),
        (Kind.EMBED, Mode.EMBEDDING),
        (Kind.EMBEDDINGS, Mode.EMBEDDING),
    )
}
_ROUTES: Final = {
    "/v1/chat/completions": Inference(
        "chat_completions", "/v1/chat/completions", Mode.COMPLETION, messages=True
    ),
    "/v1/completions": Inference("completions", "/v1/completions", Mode.COMPLETION),
    "/v1/embeddings": Inference("embeddings", "/v1/embeddings", Mode.EMBEDDING),
    "/v1/responses": _RESPONSES,
    "/responses": _RESPONSES,
    "/v1/rerank": RERANK,
    "/rerank": RERANK,
    "/score": SCORE,
    "/v1/score": SCORE,
    "/tokenize": Inference("tokenize", "/tokenize", None),
    "/detokenize": DETOKENIZE,
    **{route.path: route for route in _ANTHROPIC},
}
"""What follows a prefix. Source: docker/model-runner `pkg/routing`, `pkg/responses/handler.go`."""


def inference_routes(engine: str) -> dict[str, Inference]:
    """Every spelling of every inference path."""
    usual = {prefix + path: route for path, route in _ROUTES.items() for prefix in prefixes(engine)}
    # Anthropic's clients are given this prefix as their base URL.
    return usual | {f"/anthropic{route.path}": route for route in _ANTHROPIC} | _OLLAMA


def clean(path: str) -> str:
    """A path without empty segments, as Docker Model Runner takes it."""
    return _SLASHES.sub("/", path) if "//" in path else path


def prefixes(engine: str) -> tuple[str, ...]:
    """What may stand before "/v1/…": Docker Model Runner names the engine or leaves it out."""
    return ("", "/engines", f"/engines/{engine}")


def image_paths(engine: str) -> frozenset[str]:
    """Where OpenAI's clients ask for pictures, which no engine here makes."""
    return frozenset(prefix + IMAGES for prefix in prefixes(engine))


def model_name(path: str, engine: str) -> str | None:
    """The name in ".../v1/models/{name}", "" for the list, None for another path.

    `path` is raw, so a slash in the name may be written as "%2F" or as itself.
    """
    for prefix in prefixes(engine):
        head = prefix + MODELS
        if path == head:
            return ""
        if path.startswith(f"{head}/"):
            return unquote(path[len(head) + 1 :]) or None
    return None
