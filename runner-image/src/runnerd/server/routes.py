"""The paths of a runner. Pure."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from modelrunner_protocol.wire import Mode

MODELS: Final = "/v1/models"
_SLASHES: Final = re.compile("/{2,}")


@dataclass(frozen=True, slots=True)
class Inference:
    """A path that the engine answers: its label in metrics, the engine's path, its mode."""

    name: str
    path: str
    mode: Mode
    messages: bool = False


_ROUTES: Final = (
    Inference("chat_completions", "/v1/chat/completions", Mode.COMPLETION, messages=True),
    Inference("completions", "/v1/completions", Mode.COMPLETION),
    Inference("embeddings", "/v1/embeddings", Mode.EMBEDDING),
)


def inference_routes(engine: str) -> dict[str, Inference]:
    """Every spelling of every inference path."""
    return {prefix + route.path: route for route in _ROUTES for prefix in prefixes(engine)}


def clean(path: str) -> str:
    """A path without empty segments, as Docker Model Runner takes it."""
    return _SLASHES.sub("/", path) if "//" in path else path


def prefixes(engine: str) -> tuple[str, ...]:
    """What may stand before "/v1/…": Docker Model Runner names the engine or leaves it out."""
    return ("", "/engines", f"/engines/{engine}")


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
