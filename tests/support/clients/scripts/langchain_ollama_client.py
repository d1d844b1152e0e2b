"""LangChain, through its package for Ollama."""

from typing import Any

from langchain_ollama import ChatOllama, OllamaEmbeddings

from tests.support.clients.scripts import scenarios
from tests.support.clients.scripts.scenarios import Server


def _model(
    server: Server, name: str = scenarios.CHAT_MODEL, tokens: int = scenarios.MAX_TOKENS
) -> ChatOllama:
    return ChatOllama(model=name, base_url=server.url, num_predict=tokens, temperature=0)


def chat(server: Server) -> Any:
    """A chat."""
    answer = _model(server).invoke(scenarios.QUESTION)
    told = answer.response_metadata
    return {
        "model": told["model"],
        "text": answer.content,
        "finish": told["done_reason"],
        "tokens": answer.usage_metadata and answer.usage_metadata["output_tokens"],
    }


def stream(server: Server) -> Any:
    """The same, streamed."""
    parts = list(_model(server).stream(scenarios.QUESTION))
    whole = parts[0]
    for part in parts[1:]:
        whole += part
    return {
        "model": whole.response_metadata["model"],
        "pieces": [part.content for part in parts if part.content],
        "finish": whole.response_metadata["done_reason"],
        "tokens": whole.usage_metadata and whole.usage_metadata["output_tokens"],
    }


def schema(server: Server) -> Any:
    """An answer in a schema."""
    shaped = _model(server, tokens=scenarios.ENOUGH_TOKENS).with_structured_output(
        {"title": "answer", **scenarios.ANSWER_SCHEMA}, method="json_schema"
    )
    return shaped.invoke(scenarios.QUESTION)


def embed(server: Server) -> Any:
    """Vectors of two texts."""
    embeddings = OllamaEmbeddings(model=scenarios.EMBEDDING_MODEL, base_url=server.url)
    return embeddings.embed_documents(scenarios.TEXTS)


def tools(server: Server) -> Any:
    """Calls of tools."""
    answer = _model(server).bind_tools([scenarios.function_tool()]).invoke(scenarios.CALL_TOOLS)
    return [scenarios.call(one["name"], one["args"]) for one in answer.tool_calls]


def stream_tools(server: Server) -> Any:
    """Calls of tools, put together from a stream by the client."""
    bound = _model(server).bind_tools([scenarios.function_tool()])
    parts = list(bound.stream(scenarios.CALL_TOOLS))
    whole = parts[0]
    for part in parts[1:]:
        whole += part
    return [scenarios.call(one["name"], one["args"]) for one in whole.tool_calls]


def unknown(server: Server) -> Any:
    """A chat with a model that is not there."""
    return _model(server, scenarios.UNKNOWN_MODEL).invoke(scenarios.QUESTION)


if __name__ == "__main__":
    scenarios.main(globals())
