"""LiteLLM's client, which speaks OpenAI's, Anthropic's and Ollama's words."""

from typing import Any

import litellm

from tests.support.clients.scripts import scenarios
from tests.support.clients.scripts.scenarios import Server

litellm.suppress_debug_info = True
_LIMITS: dict[str, Any] = {"max_tokens": scenarios.MAX_TOKENS, "temperature": 0}


def _ask(server: Server, name: str = scenarios.CHAT_MODEL, **more: Any) -> Any:
    words: dict[str, Any] = {"messages": scenarios.messages(), **_LIMITS}
    return litellm.completion(
        model=f"openai/{name}",
        api_base=server.at("/v1"),
        api_key="unused",
        num_retries=0,
        **{**words, **more},
    )


def chat(server: Server) -> Any:
    """A chat."""
    return _told(_ask(server))


def chat_ollama(server: Server) -> Any:
    """A chat in Ollama's words."""
    return _told(
        litellm.completion(
            model=f"ollama_chat/{scenarios.CHAT_MODEL}",
            api_base=server.url,
            messages=scenarios.messages(),
            **_LIMITS,
        )
    )


def chat_anthropic(server: Server) -> Any:
    """A chat in Anthropic's words."""
    return _told(
        litellm.completion(
            model=f"anthropic/{scenarios.CHAT_MODEL}",
            api_base=server.at("/anthropic"),
            api_key="unused",
            messages=scenarios.messages(),
            **_LIMITS,
        )
    )


def stream(server: Server) -> Any:
    """A chat, streamed."""
    chunks = list(_ask(server, stream=True, stream_options={"include_usage": True}))
    choices = [choice for chunk in chunks for choice in chunk.choices]
    whole = litellm.stream_chunk_builder(chunks)
    return {
        "model": chunks[0].model,
        "pieces": [choice.delta.content for choice in choices if choice.delta.content],
        "finish": choices[-1].finish_reason or whole.choices[0].finish_reason,
        "tokens": whole.usage.completion_tokens,
    }


def embed(server: Server) -> Any:
    """Vectors of two texts."""
    answer = litellm.embedding(
        model=f"openai/{scenarios.EMBEDDING_MODEL}",
        input=scenarios.TEXTS,
        api_base=server.at("/v1"),
        api_key="unused",
        encoding_format="float",
    )
    return [one["embedding"] for one in answer.data]


def unknown(server: Server) -> Any:
    """A chat with a model that is not there."""
    return _ask(server, scenarios.UNKNOWN_MODEL)


def _told(answer: Any) -> dict[str, Any]:
    choice = answer.choices[0]
    return {
        "model": answer.model,
        "text": choice.message.content,
        "finish": choice.finish_reason,
        "tokens": answer.usage.completion_tokens,
    }


if __name__ == "__main__":
    scenarios.main(globals())
