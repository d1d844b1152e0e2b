"""The paths of a runner."""

import pytest

from modelrunner_protocol.wire import Mode
from runnerd.server.routes import clean, inference_routes, model_name


def test_inference() -> None:
    """Three paths under three prefixes, each with the engine's path and its mode."""
    routes = inference_routes("llama.cpp")
    assert len(routes) == 9
    found = routes["/engines/llama.cpp/v1/embeddings"]
    assert (found.path, found.mode) == ("/v1/embeddings", Mode.EMBEDDING)
    assert "/engines/vllm/v1/embeddings" not in routes


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
