"""Which paths are a model's."""

import pytest

from modelrunner.gateway.dialects import ANTHROPIC, OLLAMA, OPENAI, RESPONSES
from modelrunner.gateway.routing.paths import ENGINES, ROUTES, unknown_engine
from runnerd.server.routes import inference_routes


@pytest.mark.parametrize(
    ("path", "name", "engine"),
    [
        ("/v1/chat/completions", "chat_completions", ""),
        ("/engines/v1/chat/completions", "chat_completions", ""),
        ("/engines/llama.cpp/v1/chat/completions", "chat_completions", "llama.cpp"),
        ("/engines/vllm/v1/embeddings", "embeddings", "vllm"),
        ("/v1/completions", "completions", ""),
        ("/v1/responses", "responses", ""),
        ("/responses", "responses", ""),
        ("/engines/responses", "responses", ""),
        ("/rerank", "rerank", ""),
        ("/v1/rerank", "rerank", ""),
        ("/engines/v1/rerank", "rerank", ""),
        ("/engines/llama.cpp/rerank", "rerank", "llama.cpp"),
        ("/score", "score", ""),
        ("/tokenize", "tokenize", ""),
        ("/engines/llama.cpp/detokenize", "detokenize", "llama.cpp"),
        ("/anthropic/v1/messages", "messages", ""),
        ("/anthropic/v1/messages/count_tokens", "count_tokens", ""),
        ("/engines/vllm/v1/messages", "messages", "vllm"),
        ("/api/chat", "api_chat", ""),
        ("/api/generate", "api_generate", ""),
        ("/api/embed", "api_embed", ""),
        ("/api/embeddings", "api_embeddings", ""),
    ],
)
def test_every_spelling_leads_to_its_route(path: str, name: str, engine: str) -> None:
    """Docker Model Runner's prefixes, OpenAI's, Anthropic's."""
    assert (ROUTES[path].name, ROUTES[path].engine) == (name, engine)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1/models",
        "/v1/chat/completions/",
        "/engines",
        "/engines/",
        "/engines/v1",
        "/anthropic/v1/chat/completions",
        "/api/tags",
        "/engines/api/chat",
        "/v1/images/generations",
        "/v1/messages/batches",
    ],
)
def test_what_is_nobodys(path: str) -> None:
    """It is the back office's."""
    assert path not in ROUTES
    assert unknown_engine(path) is None


def test_a_runner_knows_every_path_that_is_sent_to_it() -> None:
    """Paths are passed on as the client wrote them, and to no engine but the runner's own."""
    for engine in ENGINES:
        ours = {path for path, route in ROUTES.items() if route.engine in {"", engine}}
        assert ours == set(inference_routes(engine))


def test_dialects_follow_the_route() -> None:
    """The same under every prefix."""
    for route in ROUTES.values():
        expected = (
            OLLAMA
            if route.name.startswith("api_")
            else {
                "messages": ANTHROPIC,
                "count_tokens": ANTHROPIC,
                "responses": RESPONSES,
            }.get(route.name, OPENAI)
        )
        assert route.dialect is expected


@pytest.mark.parametrize(
    ("path", "engine"),
    [
        ("/engines/bogus/v1/chat/completions", "bogus"),
        ("/engines/sglang/rerank", "sglang"),
        ("/engines/%2e/v1/messages", "%2e"),
    ],
)
def test_an_engine_that_nobody_knows_is_named(path: str, engine: str) -> None:
    """So that the client hears what is wrong with the path."""
    found = unknown_engine(path)
    assert found is not None
    assert found[0] == engine
