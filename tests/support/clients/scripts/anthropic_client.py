"""Anthropic's Python client."""

from typing import Any

from anthropic import Anthropic

from tests.support.clients.scripts import scenarios
from tests.support.clients.scripts.scenarios import Server

# No argument of this client any more, and still one of the API.
_COLD = {"temperature": 0}


def _client(server: Server) -> Anthropic:
    return Anthropic(base_url=server.at("/anthropic"), api_key="unused", max_retries=0, timeout=120)


def chat(server: Server) -> Any:
    """A message."""
    answer = _client(server).messages.create(
        model=scenarios.CHAT_MODEL,
        messages=scenarios.messages(),
        max_tokens=scenarios.MAX_TOKENS,
        extra_body=_COLD,
    )
    return {
        "model": answer.model,
        "text": "".join(block.text for block in answer.content if block.type == "text"),
        "finish": answer.stop_reason,
        "tokens": answer.usage.output_tokens,
    }


def stream(server: Server) -> Any:
    """The same, streamed."""
    with _client(server).messages.stream(
        model=scenarios.CHAT_MODEL,
        messages=scenarios.messages(),
        max_tokens=scenarios.MAX_TOKENS,
        extra_body=_COLD,
    ) as streamed:
        pieces = list(streamed.text_stream)
        final = streamed.get_final_message()
    return {
        "model": final.model,
        "pieces": pieces,
        "finish": final.stop_reason,
        "tokens": final.usage.output_tokens,
    }


def count(server: Server) -> Any:
    """Tokens of a message."""
    return (
        _client(server)
        .messages.count_tokens(model=scenarios.CHAT_MODEL, messages=scenarios.messages())
        .input_tokens
    )


def tools(server: Server) -> Any:
    """Calls of tools."""
    answer = _client(server).messages.create(
        model=scenarios.CHAT_MODEL,
        messages=scenarios.messages(scenarios.CALL_TOOLS),
        max_tokens=scenarios.MAX_TOKENS,
        extra_body=_COLD,
        tools=[_tool()],
    )
    return _calls(answer)


def stream_tools(server: Server) -> Any:
    """Calls of tools, put together from a stream by the client."""
    with _client(server).messages.stream(
        model=scenarios.CHAT_MODEL,
        messages=scenarios.messages(scenarios.CALL_TOOLS),
        max_tokens=scenarios.MAX_TOKENS,
        extra_body=_COLD,
        tools=[_tool()],
    ) as streamed:
        return _calls(streamed.get_final_message())


def unknown(server: Server) -> Any:
    """A message to a model that is not there."""
    return _client(server).messages.create(
        model=scenarios.UNKNOWN_MODEL, messages=scenarios.messages(), max_tokens=4
    )


def unknown_stream(server: Server) -> Any:
    """The same, streamed."""
    with _client(server).messages.stream(
        model=scenarios.UNKNOWN_MODEL, messages=scenarios.messages(), max_tokens=4
    ) as streamed:
        return streamed.get_final_message()


def wrong(server: Server) -> Any:
    """A message whose temperature is a word."""
    warm: Any = "warm"
    return _client(server).messages.create(
        model=scenarios.CHAT_MODEL,
        messages=scenarios.messages(),
        max_tokens=4,
        extra_body={"temperature": warm},
    )


def _tool() -> Any:
    return {
        "name": scenarios.TOOL_NAME,
        "description": scenarios.TOOL_DESCRIPTION,
        "input_schema": scenarios.TOOL_SCHEMA,
    }


def _calls(answer: Any) -> list[dict[str, Any]]:
    blocks = [block for block in answer.content if block.type == "tool_use"]
    return [scenarios.call(block.name, block.input) for block in blocks]


if __name__ == "__main__":
    scenarios.main(globals())
