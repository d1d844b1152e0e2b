"""OpenAI's own Python client asks `runnerd run` for responses, on the real llama-server."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from tests.integration.runnerd.conftest import Process, eventually
from tests.support.response_events import EventReader
from tests.support.runner_process import RunnerProcess

pytestmark = pytest.mark.engine

Serve = Callable[..., Process]

SHORT: dict[str, Any] = {"max_output_tokens": 8, "temperature": 0.0}
TOOL: dict[str, Any] = {
    "type": "function",
    "name": "w",
    "description": "The weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


class Weather(BaseModel):
    """What a model has to answer."""

    sunny: bool


@pytest.fixture(scope="module")
def runner(serve: Serve) -> Process:
    """A runner with an alias, ready."""
    process = serve(aliases=("gpt-4o-mini",), context_size=1024)
    process.until("ready")
    return process


@pytest.fixture
def client(runner: Process) -> Iterator[openai.OpenAI]:
    """OpenAI's client."""
    with connected(str(runner.http.base_url)) as found:
        yield found


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    """The client of a runner whose engine follows scripts: it thinks and calls tools."""
    folder = tmp_path_factory.mktemp("scripted") / "r"
    with RunnerProcess("smol", folder) as process, connected(address(process)) as found:
        yield found


def address(process: RunnerProcess) -> str:
    """Where a runner listens."""
    return f"http://127.0.0.1:{process.port}"


def connected(base: str) -> openai.OpenAI:
    """A client that asks there, once."""
    return openai.OpenAI(base_url=f"{base}/v1", api_key="x", max_retries=0, timeout=180)


def whole(response: Response) -> Response:
    """The response, when every member has the type that OpenAI's has."""
    checked = Response.model_validate(response.to_dict(), strict=True)
    assert checked.usage is not None
    assert checked.usage.input_tokens > 0
    assert checked.usage.output_tokens > 0
    total = checked.usage.input_tokens + checked.usage.output_tokens
    assert checked.usage.total_tokens == total
    return response


def test_create(client: openai.OpenAI) -> None:
    """Text, as OpenAI's types have it, under the name that the client used."""
    found = whole(client.responses.create(model="gpt-4o-mini", input="Say hi.", **SHORT))
    assert found.model == "gpt-4o-mini"
    assert found.output_text
    assert found.status == "incomplete"
    assert found.incomplete_details is not None
    assert found.incomplete_details.reason == "max_output_tokens"
    assert found.usage is not None
    assert found.usage.output_tokens == 8
    assert found.temperature == 0.0


def test_stream(client: openai.OpenAI) -> None:
    """The events are those that OpenAI's types know, in order; it says what a whole one says."""
    reader, types = EventReader(), set()
    for event in client.responses.create(model="smol", input="Say hi.", stream=True, **SHORT):
        data = event.to_dict()
        EVENT.validate_python(data)
        reader.take(data)
        types.add(event.type)
    assert reader.last is not None
    assert "response.output_text.delta" in types
    assert reader.last["status"] == "incomplete"
    assert reader.last["usage"]["output_tokens"] == 8
    asked = client.responses.create(model="smol", input="Say hi.", **SHORT)
    assert reader.last["output_text"] == asked.output_text


def test_the_client_reads_its_own_stream(client: openai.OpenAI) -> None:
    """Its accumulator gets along with the events, and a schema with them."""
    with client.responses.stream(model="smol", input="Sunny?", text_format=Weather) as stream:
        for _ in stream:
            pass
        found = stream.get_final_response()
    assert isinstance(found.output_parsed, Weather)
    assert found.status == "completed"


def test_parse(client: openai.OpenAI) -> None:
    """`text.format` is kept to, which llama-server's own route does not do."""
    found = client.responses.parse(model="smol", input="Sunny?", text_format=Weather)
    assert isinstance(found.output_parsed, Weather)
    assert found.text is not None
    free: Any = {"format": {"type": "json_object"}}
    told = client.responses.create(model="smol", input="JSON", text=free, max_output_tokens=200)
    assert told.output_text.lstrip().startswith("{")
    if told.status == "completed":
        assert isinstance(json.loads(told.output_text), dict)


def test_kept(client: openai.OpenAI) -> None:
    """Read, listed page by page, deleted."""
    made = client.responses.create(model="smol", input="Say hi.", **SHORT)
    assert client.responses.retrieve(made.id).to_dict() == made.to_dict()
    said: Any = [
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "Two"},
        {"role": "user", "content": [{"type": "input_text", "text": "Three"}]},
    ]
    more = client.responses.create(model="smol", input=said, previous_response_id=made.id, **SHORT)
    listed = list(client.responses.input_items.list(more.id, limit=2, order="asc"))
    texts = [item.content[0].text for item in listed]  # type: ignore[union-attr, index]  # messages
    assert texts == ["Say hi.", made.output_text, "One", "Two", "Three"]
    newest = client.responses.input_items.list(more.id).data[0]
    assert newest.content[0].text == "Three"  # type: ignore[union-attr, index]  # a message
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)
    # The other one remembers what was said before it.
    assert len(list(client.responses.input_items.list(more.id))) == 5


def test_it_goes_on(client: openai.OpenAI) -> None:
    """The engine is given the whole story: its tokens are counted."""
    first = client.responses.create(model="smol", input="My name is Ada. " * 20, **SHORT)
    second = client.responses.create(
        model="smol", input="And?", previous_response_id=first.id, **SHORT
    )
    alone = client.responses.create(model="smol", input="And?", **SHORT)
    assert first.usage is not None
    assert second.usage is not None
    assert alone.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens > alone.usage.input_tokens
    # What the engine remembers it need not read again.
    assert second.usage.input_tokens_details.cached_tokens > 0
    assert second.previous_response_id == first.id


def test_output_as_input(client: openai.OpenAI) -> None:
    """A client that keeps the story itself sends the items back as they came."""
    said: Any = [{"role": "user", "content": "Say hi."}]
    first = client.responses.create(model="smol", input=said, store=False, **SHORT)
    said += [item.to_dict() for item in first.output]
    said += [{"role": "user", "content": "Again."}]
    assert whole(client.responses.create(model="smol", input=said, store=False, **SHORT)).output
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


def test_likely_tokens(client: openai.OpenAI) -> None:
    """Of each token of the answer, whole and streamed."""
    more: dict[str, Any] = {"include": ["message.output_text.logprobs"], "top_logprobs": 2, **SHORT}
    found = client.responses.create(model="smol", input="Say hi.", **more)
    part = found.output[0].content[0]
    logprobs = part.logprobs
    assert logprobs is not None
    assert len(logprobs) == 8
    assert all(len(one.top_logprobs) == 2 for one in logprobs)
    stream = client.responses.create(model="smol", input="Say hi.", stream=True, **more)
    told = [one for event in stream if event.type.endswith("text.delta") for one in event.logprobs]
    assert [one.token for one in told] == [one.token for one in logprobs]


def test_errors(client: openai.OpenAI) -> None:
    """Each is the exception that OpenAI's client has for it."""
    ask = client.responses.create
    with pytest.raises(openai.NotFoundError) as unknown:
        ask(model="gpt-9", input="x")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as lost:
        ask(model="smol", input="x", previous_response_id="resp_x")
    assert (lost.value.code, lost.value.param) == (
        "previous_response_not_found",
        "previous_response_id",
    )
    with pytest.raises(openai.BadRequestError) as long:
        ask(model="smol", input="a b c " * 1000)
    assert long.value.code == "context_length_exceeded"
    for more in (
        {"background": True},
        {"truncation": "auto"},
        {"conversation": "conv_x"},
        {"tools": [{"type": "web_search"}]},
        {"temperature": 3},
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            ask(model="smol", input="x", **more)
        assert str(refused.value.param).startswith(next(iter(more)))
    picture: Any = [{"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}]
    with pytest.raises(openai.BadRequestError, match="image"):
        ask(model="smol", input=[{"role": "user", "content": picture}])


def test_a_client_that_leaves(client: openai.OpenAI, runner: Process) -> None:
    """The engine stops."""
    stream = client.responses.create(model="smol", input="A tale", stream=True)
    assert next(iter(stream)).type == "response.created"
    stream.close()
    eventually(lambda: not runner.status()["inFlight"])


def test_calls_of_tools(scripted: openai.OpenAI) -> None:
    """Whole and streamed; what came of them goes back with the response's ID."""
    tools: Any = [TOOL, {**TOOL, "name": "t"}]
    ask: Any = {"model": "smol", "input": "script: tools", "tools": tools}
    found = whole(scripted.responses.create(**ask))
    calls = [item for item in found.output if item.type == "function_call"]
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [
        ("w", {"city": "Rome"}),
        ("t", {}),
    ]
    with scripted.responses.stream(**ask) as stream:
        names = [event.type for event in stream]
        again = stream.get_final_response()
    assert names.count("response.function_call_arguments.done") == 2
    assert [item.call_id for item in again.output] == [call.call_id for call in calls]  # type: ignore[union-attr]  # calls
    outputs: Any = [
        {"type": "function_call_output", "call_id": call.call_id, "output": "fine"}
        for call in calls
    ]
    said: Any = {"role": "user", "content": "script: repeat"}
    last = scripted.responses.create(
        model="smol", input=[*outputs, said], previous_response_id=found.id, tools=tools
    )
    messages = json.loads(last.output_text)["body"]["messages"]
    assert [message["role"] for message in messages] == [
        "user",
        "assistant",
        "tool",
        "tool",
        "user",
    ]
    assert [call["id"] for call in messages[1]["tool_calls"]] == [
        message["tool_call_id"] for message in messages[2:4]
    ]


def test_thoughts(scripted: openai.OpenAI) -> None:
    """An item of their own, with events of their own."""
    ask: Any = {"model": "smol", "input": "script: think", "reasoning": {"effort": "low"}}
    found = whole(scripted.responses.create(**ask))
    thoughts, text = found.output
    assert thoughts.type == "reasoning"
    assert thoughts.content is not None
    assert thoughts.content[0].text == "hm"
    assert text.type == "message"
    assert found.reasoning is not None
    assert found.reasoning.effort == "low"
    reader, deltas = EventReader(), []
    for event in scripted.responses.create(**ask, stream=True):
        data = event.to_dict()
        EVENT.validate_python(data)
        reader.take(data)
        if event.type == "response.reasoning_text.delta":
            deltas.append(event.delta)
    assert deltas == ["hm"]


def test_a_stream_that_breaks(tmp_path: Path) -> None:
    """The client raises; nobody takes what came for the whole answer."""
    with RunnerProcess("smol", tmp_path / "r") as process, connected(address(process)) as client:
        for script, words in (("die_in_stream", "exit code 7"), ("error_in_stream", "grammar")):
            names = []
            with pytest.raises(openai.APIError, match=words):  # noqa: PT012  # it comes at the end
                for event in client.responses.create(
                    model="smol", input=f"script: {script}", stream=True
                ):
                    names.append(event.type)  # noqa: PERF401  # what came before counts
            assert names[0] == "response.created"
            assert "response.output_text.delta" in names
            eventually(lambda: process.ready)
