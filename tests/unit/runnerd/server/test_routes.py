"""The paths of a runner."""

import pytest

from modelrunner_protocol.wire import Mode
from runnerd.server.routes import clean, inference_routes, model_name


@pytest.mark.parametrize(
    ("path", "name", "engine", "mode"),
    [
        ("/v1/chat/completions", "chat_completions", "/v1/chat/completions", Mode.COMPLETION),
        ("/v1/completions", "completions", "/v1/completions", Mode.COMPLETION),
        ("/v1/embeddings", "embeddings", "/v1/embeddings", Mode.EMBEDDING),
        ("/v1/messages", "messages", "/v1/messages", Mode.COMPLETION),
        (
            "/v1/messages/count_tokens",
            "count_tokens",
            "/v1/messages/count_tokens",
            Mode.COMPLETION,
        ),
        ("/v1/responses", "responses", "/v1/responses", Mode.COMPLETION),
        ("/responses", "responses", "/v1/responses", Mode.COMPLETION),
        ("/v1/rerank", "rerank", "/v1/rerank", Mode.RERANKING),
        ("/rerank", "rerank", "/v1/rerank", Mode.RERANKING),
        ("/score", "score", "/score", Mode.RERANKING),
        ("/v1/score", "score", "/score", Mode.RERANKING),
        ("/tokenize", "tokenize", "/tokenize", None),
        ("/detokenize", "detokenize", "/detokenize", None),
    ],
)
def test_inference(path: str, name: str, engine: str, mode: Mode | None) -> None:
    """Each path under each prefix, with its label, the engine's path and its mode."""
    routes = inference_routes("llama.cpp")
    for prefix in ("", "/engines", "/engines/llama.cpp"):
        found = routes[prefix + path]
        assert (found.name, found.path, found.mode) == (name, engine, mode)
    assert f"/engines/vllm{path}" not in routes
    assert (f"/anthropic{path}" in routes) is ("messages" in path)


def test_empty_segments() -> None:
    """Docker Model Runner takes a path with empty segments, and so do we."""
    assert clean("//engines//v1/models") == "/engines/v1/models"
    assert clean("/v1/models") == "/v1/models"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/models", ""),
        ("/engines/v1/models", ""),
        ("/v1/models/smol", "smol"),
        ("/engines/llama.cpp/v1/models/ml%2Fsmol", "ml/smol"),
        ("/v1/models/ml/smol", "ml/smol"),
        ("/v1/models/", None),
        ("/v1/modelsx", None),
        ("/engines/vllm/v1/models", None),
    ],
)
def test_models(path: str, name: str | None) -> None:
    """A name is what follows, with %2F or a slash; other paths are none of ours."""
    assert model_name(path, "llama.cpp") == name
