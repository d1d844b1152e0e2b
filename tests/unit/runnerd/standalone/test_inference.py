"""Which path is whose."""

import pytest

from modelrunner_protocol.wire import Mode
from runnerd.server.routes import inference_routes
from runnerd.standalone.inference import Paths

PATHS = Paths()


@pytest.mark.parametrize(
    ("path", "name", "backend"),
    [
        ("/v1/chat/completions", "chat_completions", ""),
        ("/engines/v1/chat/completions", "chat_completions", ""),
        ("/engines/llama.cpp/v1/chat/completions", "chat_completions", "llama.cpp"),
        ("/engines/vllm/v1/chat/completions", "chat_completions", "vllm"),
        ("/engines/bogus/v1/embeddings", "embeddings", "bogus"),
        ("/engines/rerank", "rerank", ""),
        ("/engines/bogus/rerank", "rerank", "bogus"),
        ("/engines/llama.cpp/rerank", "rerank", "llama.cpp"),
        ("/engines/vllm/v1/rerank", "rerank", "vllm"),
        ("/anthropic/v1/messages", "messages", ""),
        ("/v1/messages/count_tokens", "count_tokens", ""),
        ("/engines/vllm/v1/messages", "messages", "vllm"),
        ("/responses", "responses", ""),
        ("/api/chat", "api_chat", ""),
    ],
)
def test_found(path: str, name: str, backend: str) -> None:
    """A path is a route, with the backend that it names."""
    found = PATHS.find(path)
    assert found
    assert (found[0].name, found[1]) == (name, backend)


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/v1", "/v1/models", "/engines/v1", "/engines/_configure", "/engines/x/y/v1/rerank"),
        *("/engines//v1/rerank", "/api/pull", "/engines/vllm/api/chat", "/v1/chat/completions/"),
    ],
)
def test_not_found(path: str) -> None:
    """Every other path is somebody else's."""
    assert PATHS.find(path) is None


def test_every_path_of_a_runner() -> None:
    """What a runner answers is answered here, by the same route."""
    for path, route in inference_routes("llama.cpp").items():
        found = PATHS.find(path)
        assert found
        assert found[0] is route or found[0] == route


def test_every_mode_is_known() -> None:
    """A route asks for an engine in a mode that there is, or leaves it open."""
    modes = {route.mode for route in inference_routes("llama.cpp").values()}
    assert {Mode.COMPLETION, Mode.EMBEDDING} <= modes


@pytest.mark.parametrize("prefix", ["", "/engines", "/engines/diffusers", "/engines/vllm"])
def test_pictures(prefix: str) -> None:
    """They are asked for under every prefix."""
    assert PATHS.is_image(f"{prefix}/v1/images/generations")
    assert not PATHS.is_image(f"{prefix}/v1/images")
