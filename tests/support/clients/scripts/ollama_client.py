"""Ollama's Python client."""

import json
from typing import Any

import ollama

from tests.support.clients.scripts import scenarios
from tests.support.clients.scripts.scenarios import Server

_OPTIONS = {"num_predict": scenarios.MAX_TOKENS, "temperature": 0}


def _client(server: Server) -> ollama.Client:
    return ollama.Client(host=server.url, timeout=120)


def list_models(server: Server) -> Any:
    """Names of the models."""
    return [one.model for one in _client(server).list().models]


def show(server: Server) -> Any:
    """What a model is."""
    found = _client(server).show(scenarios.CHAT_MODEL)
    details, info = found.modelinfo or {}, found.details
    return {
        "name": scenarios.CHAT_MODEL,
        "context": details["llama.context_length"],
        "capabilities": found.capabilities,
        "family": info and info.family,
    }


def chat(server: Server) -> Any:
    """A chat."""
    answer = _client(server).chat(scenarios.CHAT_MODEL, scenarios.messages(), options=_OPTIONS)
    return {
        "model": answer.model,
        "text": answer.message.content,
        "finish": answer.done_reason,
        "tokens": answer.eval_count,
    }


def stream(server: Server) -> Any:
    """The same, streamed."""
    parts = list(
        _client(server).chat(
            scenarios.CHAT_MODEL, scenarios.messages(), options=_OPTIONS, stream=True
        )
    )
    return {
        "model": parts[0].model,
        "pieces": [part.message.content for part in parts if part.message.content],
        "finish": parts[-1].done_reason,
        "tokens": parts[-1].eval_count,
    }


def complete(server: Server) -> Any:
    """A completion."""
    answer = _client(server).generate(scenarios.CHAT_MODEL, "Once upon", options=_OPTIONS)
    return {
        "model": answer.model,
        "text": answer.response,
        "finish": answer.done_reason,
        "tokens": answer.eval_count,
    }


def schema(server: Server) -> Any:
    """An answer in a schema."""
    answer = _client(server).chat(
        scenarios.CHAT_MODEL, scenarios.messages(), format=scenarios.ANSWER_SCHEMA
    )
    return json.loads(answer.message.content or "")


def embed(server: Server) -> Any:
    """Vectors of two texts."""
    answer = _client(server).embed(scenarios.EMBEDDING_MODEL, scenarios.TEXTS)
    return [list(one) for one in answer.embeddings]


def tools(server: Server) -> Any:
    """Calls of tools."""
    answer = _client(server).chat(
        scenarios.CHAT_MODEL,
        scenarios.messages(scenarios.CALL_TOOLS),
        tools=[scenarios.function_tool()],
    )
    return _calls([answer])


def stream_tools(server: Server) -> Any:
    """Calls of tools, streamed."""
    parts = _client(server).chat(
        scenarios.CHAT_MODEL,
        scenarios.messages(scenarios.CALL_TOOLS),
        tools=[scenarios.function_tool()],
        stream=True,
    )
    return _calls(list(parts))


def load(server: Server) -> Any:
    """A model without a prompt, to stay for an hour; then what runs."""
    client = _client(server)
    answer = client.generate(scenarios.CHAT_MODEL, keep_alive="1h")
    return {"reason": answer.done_reason, "running": _running(client)}


def unload(server: Server) -> Any:
    """The same with a time of 0; what is left of it once it is gone, or after a minute."""
    client = _client(server)
    answer = client.generate(scenarios.CHAT_MODEL, keep_alive=0)

    def left() -> list[Any]:
        return [one for one in _running(client) if one["name"] == scenarios.RUNNING_NAME]

    return {"reason": answer.done_reason, "left": scenarios.eventually(left, lambda it: not it)}


def running(server: Server) -> Any:
    """Names of what runs."""
    return _running(_client(server))


def pull(server: Server) -> Any:
    """What a pull tells on its way."""
    parts = list(_client(server).pull(scenarios.PULLED_MODEL, stream=True))
    sized = [part for part in parts if part.total]
    return {
        "last": parts[-1].status,
        "complete": bool(sized) and sized[-1].completed == sized[-1].total,
    }


def copy(server: Server) -> Any:
    """A second name, which then is in the list."""
    client = _client(server)
    client.copy(scenarios.PULLED_MODEL, scenarios.COPIED_MODEL)
    copied = f"{scenarios.COPIED_MODEL}:latest"
    return scenarios.eventually(lambda: list_models(server), lambda names: copied in names)


def delete(server: Server) -> Any:
    """Both names are deleted; what is left."""
    client = _client(server)
    client.delete(scenarios.COPIED_MODEL)
    client.delete(scenarios.PULLED_MODEL)
    pulled = f"{scenarios.PULLED_MODEL}:latest"
    return scenarios.eventually(lambda: list_models(server), lambda names: pulled not in names)


def unknown(server: Server) -> Any:
    """A chat with a model that is not there."""
    return _client(server).chat(scenarios.UNKNOWN_MODEL, scenarios.messages())


def unknown_stream(server: Server) -> Any:
    """The same, streamed."""
    return list(_client(server).chat(scenarios.UNKNOWN_MODEL, scenarios.messages(), stream=True))


def unknown_delete(server: Server) -> Any:
    """A model that is not there is deleted."""
    return _client(server).delete(scenarios.UNKNOWN_MODEL)


def wrong(server: Server) -> Any:
    """A chat whose temperature is a word."""
    return _client(server).chat(
        scenarios.CHAT_MODEL, scenarios.messages(), options={"temperature": "warm"}
    )


def _running(client: ollama.Client) -> list[dict[str, Any]]:
    return [
        {
            "name": one.model,
            "size": one.size,
            "expires": one.expires_at and one.expires_at.isoformat(),
        }
        for one in client.ps().models
    ]


def _calls(parts: list[ollama.ChatResponse]) -> list[dict[str, Any]]:
    calls = [one.function for part in parts for one in part.message.tool_calls or []]
    return [scenarios.call(one.name, one.arguments) for one in calls]


if __name__ == "__main__":
    scenarios.main(globals())
