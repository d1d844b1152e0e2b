"""OpenAI's Python client."""

from typing import Any, Literal

from openai import OpenAI
from pydantic import BaseModel

from tests.support.clients.scripts import scenarios
from tests.support.clients.scripts.scenarios import Server


class Answer(BaseModel):
    """What a chat in a schema answers."""

    capital: Literal["Paris", "London"]


def _client(server: Server) -> OpenAI:
    return OpenAI(base_url=server.at("/v1"), api_key="unused", max_retries=0, timeout=120)


def list_models(server: Server) -> Any:
    """Names of the models."""
    return [model.id for model in _client(server).models.list()]


def show(server: Server) -> Any:
    """One model; its name has a slash, which the client escapes."""
    found = _client(server).models.retrieve(scenarios.CHAT_MODEL)
    return {"name": found.id, "context": (found.model_extra or {})["dmr"]["context_window"]}


def chat(server: Server) -> Any:
    """A chat."""
    answer = _client(server).chat.completions.create(
        model=scenarios.CHAT_MODEL,
        messages=scenarios.messages(),
        max_tokens=scenarios.MAX_TOKENS,
        temperature=0,
    )
    choice, usage = answer.choices[0], answer.usage
    return {
        "model": answer.model,
        "text": choice.message.content,
        "finish": choice.finish_reason,
        "tokens": usage and usage.completion_tokens,
    }


def stream(server: Server) -> Any:
    """The same, streamed, with what it cost."""
    answer = _client(server).chat.completions.create(
        model=scenarios.CHAT_MODEL,
        messages=scenarios.messages(),
        max_tokens=scenarios.MAX_TOKENS,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(answer)
    choices = [choice for chunk in chunks for choice in chunk.choices]
    pieces = [choice.delta.content for choice in choices if choice.delta.content]
    return {
        "model": chunks[0].model,
        "pieces": pieces,
        "finish": choices[-1].finish_reason,
        "tokens": chunks[-1].usage and chunks[-1].usage.completion_tokens,
    }


def complete(server: Server) -> Any:
    """A completion, the older form."""
    answer = _client(server).completions.create(
        model=scenarios.CHAT_MODEL,
        prompt="Once upon",
        max_tokens=scenarios.MAX_TOKENS,
        temperature=0,
    )
    choice = answer.choices[0]
    return {
        "model": answer.model,
        "text": choice.text,
        "finish": choice.finish_reason,
        "tokens": answer.usage and answer.usage.completion_tokens,
    }


def schema(server: Server) -> Any:
    """An answer in a schema, as the client's own `parse` asks for it."""
    answer = _client(server).chat.completions.parse(
        model=scenarios.CHAT_MODEL, messages=scenarios.messages(), response_format=Answer
    )
    parsed = answer.choices[0].message.parsed
    return parsed and parsed.model_dump()


def embed(server: Server) -> Any:
    """Vectors of two texts; the client asks for base64 by itself."""
    answer = _client(server).embeddings.create(
        model=scenarios.EMBEDDING_MODEL, input=scenarios.TEXTS
    )
    return [one.embedding for one in answer.data]


def tools(server: Server) -> Any:
    """Calls of tools."""
    answer = _client(server).chat.completions.create(
        model=scenarios.CHAT_MODEL,
        messages=scenarios.messages(scenarios.CALL_TOOLS),
        tools=[scenarios.function_tool()],
    )
    return _calls(answer)


def stream_tools(server: Server) -> Any:
    """Calls of tools, put together from a stream by the client."""
    with _client(server).chat.completions.stream(
        model=scenarios.CHAT_MODEL,
        messages=scenarios.messages(scenarios.CALL_TOOLS),
        tools=[scenarios.function_tool()],
    ) as streamed:
        return _calls(streamed.get_final_completion())


def respond(server: Server) -> Any:
    """A response, another one that continues it, read again, and deleted."""
    client = _client(server)
    first = client.responses.create(
        model=scenarios.CHAT_MODEL,
        input="My name is Ada.",
        max_output_tokens=scenarios.MAX_TOKENS,
        temperature=0,
    )
    second = client.responses.create(
        model=scenarios.CHAT_MODEL,
        input="What is my name?",
        previous_response_id=first.id,
        max_output_tokens=scenarios.MAX_TOKENS,
        temperature=0,
    )
    kept = client.responses.retrieve(second.id)
    client.responses.delete(second.id)
    try:
        client.responses.retrieve(second.id)
        gone = False
    except Exception as error:  # noqa: BLE001  # its name is what is looked at
        gone = type(error).__name__ == "NotFoundError"
    return {
        "text": second.output_text,
        "kept": kept.output_text,
        "status": second.status,
        "gone": gone,
        "tokens": second.usage and second.usage.output_tokens,
    }


def stream_response(server: Server) -> Any:
    """A response as the client's own accumulator of streams makes it."""
    with _client(server).responses.stream(
        model=scenarios.CHAT_MODEL,
        input=scenarios.QUESTION,
        max_output_tokens=scenarios.MAX_TOKENS,
        temperature=0,
    ) as streamed:
        events: list[Any] = list(streamed)
    # Not get_final_response, which refuses one that met its limit of tokens.
    final = events[-1].response
    numbers = [event.sequence_number for event in events]
    return {"text": final.output_text, "status": final.status, "numbers": numbers}


def respond_in_schema(server: Server) -> Any:
    """A response in a schema."""
    answer = _client(server).responses.parse(
        model=scenarios.CHAT_MODEL, input=scenarios.QUESTION, text_format=Answer
    )
    return answer.output_parsed and answer.output_parsed.model_dump()


def unknown(server: Server) -> Any:
    """A chat with a model that is not there."""
    return _client(server).chat.completions.create(
        model=scenarios.UNKNOWN_MODEL, messages=scenarios.messages()
    )


def unknown_stream(server: Server) -> Any:
    """The same, streamed."""
    return list(
        _client(server).chat.completions.create(
            model=scenarios.UNKNOWN_MODEL, messages=scenarios.messages(), stream=True
        )
    )


def wrong(server: Server) -> Any:
    """A chat whose temperature is a word."""
    warm: Any = "warm"
    return _client(server).chat.completions.create(
        model=scenarios.CHAT_MODEL, messages=scenarios.messages(), temperature=warm
    )


def _calls(answer: Any) -> list[dict[str, Any]]:
    calls = answer.choices[0].message.tool_calls or []
    return [scenarios.call(one.function.name, one.function.arguments) for one in calls]


if __name__ == "__main__":
    scenarios.main(globals())
