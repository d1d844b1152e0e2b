"""Ollama's own Python client against `runnerd run`, on the real llama-server."""

import base64
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ollama
import pytest

from modelrunner_protocol.wire import Mode
from tests.integration.runnerd.conftest import Process, eventually

pytestmark = pytest.mark.engine

Serve = Callable[..., Process]

USER = [{"role": "user", "content": "Say hi."}]
SHORT = {"num_predict": 6, "temperature": 0.0, "seed": 1}
SCHEMA = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def runner(serve: Serve) -> Process:
    """A runner with an alias and a small context, ready."""
    process = serve(aliases=("llama3.2",), context_size=512)
    process.until("ready")
    return process


@pytest.fixture
def client(runner: Process) -> Iterator[ollama.Client]:
    """Ollama's client."""
    with ollama.Client(str(runner.http.base_url), trust_env=False, timeout=180) as found:
        yield found


def counted(answer: Any) -> None:
    """All counters are there."""
    assert answer.done is True
    assert answer.done_reason in {"stop", "length"}
    assert answer.eval_count > 0
    assert answer.prompt_eval_count > 0
    assert answer.total_duration >= answer.eval_duration > 0
    assert answer.prompt_eval_duration > 0
    assert answer.load_duration >= 0


@pytest.mark.parametrize("name", ["smol", "llama3.2:latest", "ml/smol", "ai/smol"])
def test_chat(client: ollama.Client, name: str) -> None:
    """Whole and streamed say the same, under the name that the client used."""
    whole = client.chat(name, USER, options=SHORT)
    counted(whole)
    assert whole.model == name
    assert whole.message.role == "assistant"
    assert whole.message.content
    *pieces, last = client.chat(name, USER, options=SHORT, stream=True)
    counted(last)
    assert {piece.model for piece in (*pieces, last)} == {name}
    assert {piece.message.role for piece in (*pieces, last)} == {"assistant"}
    assert not any(piece.done for piece in pieces)
    assert "".join(piece.message.content or "" for piece in pieces) == whole.message.content
    assert last.message.content == ""


def test_generate(client: ollama.Client) -> None:
    """With a template, raw, whole, streamed; the last line has a `response`."""
    whole = client.generate("smol", "Say hi.", options=SHORT)
    counted(whole)
    assert whole.response
    *pieces, last = client.generate("smol", "Say hi.", options=SHORT, stream=True)
    counted(last)
    assert "".join(piece.response or "" for piece in pieces) == whole.response
    assert last.response == ""
    raw = client.generate("smol", "One, two, three,", raw=True, options=SHORT)
    counted(raw)
    assert raw.prompt_eval_count is not None
    assert whole.prompt_eval_count is not None
    assert raw.prompt_eval_count < whole.prompt_eval_count
    *pieces, last = client.generate("smol", "One, two,", raw=True, options=SHORT, stream=True)
    assert pieces
    counted(last)


def test_system(client: ollama.Client) -> None:
    """What the system says becomes a part of the prompt."""
    plain = client.generate("smol", "Hi", options=SHORT).prompt_eval_count or 0
    told = client.generate("smol", "Hi", system="Be kind. " * 20, options=SHORT).prompt_eval_count
    assert (told or 0) > plain


@pytest.mark.parametrize("stream", [False, True])
def test_formats(client: ollama.Client, stream: bool) -> None:
    """A schema is kept to, and `json` is an object."""
    options = {"num_predict": 200, "temperature": 0.0}
    formats: tuple[Any, ...] = ("json", SCHEMA)
    for format_ in formats:
        more: dict[str, Any] = {"stream": stream}
        parts = client.chat("smol", USER, format=format_, options=options, **more)
        told = list(parts) if stream else [parts]
        text = "".join(part.message.content or "" for part in told)
        if told[-1].done_reason == "stop":
            assert isinstance(json.loads(text), dict)
        assert text.lstrip().startswith("{")
        if format_ is SCHEMA:
            assert isinstance(json.loads(text)["ok"], bool)
    raw = client.generate("smol", "x", raw=True, format=SCHEMA, options=options)
    assert isinstance(json.loads(raw.response or "")["ok"], bool)


def test_options(client: ollama.Client) -> None:
    """Seeds, stops and limits are kept to."""
    options = {"num_predict": 12, "seed": 7, "temperature": 1.5, "top_k": 50, "top_p": 0.9}
    first, second = (client.generate("smol", "A tale", options=options) for _ in range(2))
    assert first.response == second.response
    assert first.eval_count == 12
    assert first.done_reason == "length"
    word = (first.response or "").strip().split()[0]
    stopped = client.generate("smol", "A tale", options={**options, "stop": [word]})
    assert word not in (stopped.response or "")
    assert stopped.done_reason == "stop"


def test_logprobs(client: ollama.Client) -> None:
    """Of each token, on both routes."""
    found = client.chat("smol", USER, options=SHORT, logprobs=True, top_logprobs=2)
    assert found.logprobs
    assert len(found.logprobs) == found.eval_count
    assert all(one.top_logprobs and one.logprob <= 0 for one in found.logprobs)
    raw = client.generate("smol", "x", raw=True, options=SHORT, logprobs=True, top_logprobs=1)
    assert raw.logprobs
    assert len(raw.logprobs) == raw.eval_count


def test_more_context_than_there_is(runner: Process) -> None:
    """It is answered, and a header says what there is."""
    body: dict[str, Any] = {"model": "smol", "messages": USER}
    body["options"] = {**SHORT, "num_ctx": 100_000}
    for stream in (True, False):
        answer = runner.http.post("/api/chat", json={**body, "stream": stream})
        assert answer.status_code == 200
        assert answer.headers["X-Model-Context-Size"] == "512"
    body["options"] = {**SHORT, "num_ctx": 256}
    answer = runner.http.post("/api/chat", json=body)
    assert "X-Model-Context-Size" not in answer.headers


def test_a_chat_that_is_too_long(client: ollama.Client) -> None:
    """Its oldest messages are left out; without `truncate` it is an error, and so is one message."""
    long = [{"role": "user", "content": "a b c d e f " * 20}, {"role": "assistant", "content": "g"}]
    messages = [{"role": "system", "content": "Be brief."}, *long * 8, *USER]
    found = client.chat("smol", messages, options=SHORT)
    counted(found)
    assert 100 < (found.prompt_eval_count or 0) <= 512
    *_, last = client.chat("smol", messages, options=SHORT, stream=True)
    counted(last)
    with pytest.raises(ollama.ResponseError, match="exceeds the available context") as raised:
        client.chat("smol", [{"role": "user", "content": "a b c d " * 400}])
    assert raised.value.status_code == 400


def test_what_the_model_cannot_do(client: ollama.Client) -> None:
    """A chat template without tools and thoughts: 400, in Ollama's words."""
    picture = base64.b64encode(b"\x89PNG\r\n").decode()
    tool = {"type": "function", "function": {"name": "w", "parameters": {"type": "object"}}}
    for more, words in (
        ({"tools": [tool]}, "does not support tools"),
        ({"think": True}, "does not support thinking"),
        ({"messages": [{**USER[0], "images": [picture]}]}, "does not support vision"),
    ):
        with pytest.raises(ollama.ResponseError, match=words) as raised:
            client.chat("smol", **{"messages": USER, **more})  # type: ignore[call-overload]  # one of many
        assert raised.value.status_code == 400
    with pytest.raises(ollama.ResponseError, match="does not support insert"):
        client.generate("smol", "a", suffix="b")
    assert client.chat("smol", USER, think=False, options=SHORT).message.content


def test_load_and_unload(client: ollama.Client, runner: Process) -> None:
    """Nothing is generated; the runner tells the operator what was asked for."""
    loaded = client.generate("smol", keep_alive="1h")
    assert (loaded.done, loaded.done_reason, loaded.response) == (True, "load", "")
    assert runner.status()["keepAlive"] == 3600
    assert client.chat("smol", keep_alive=0).done_reason == "unload"
    assert runner.status()["keepAlive"] == 0
    assert client.chat("smol", USER, options=SHORT, keep_alive=-1).message.content
    assert runner.status()["keepAlive"] == -1


def test_lists(client: ollama.Client, runner: Process) -> None:
    """What clients look for before they ask."""
    listed = client.list()
    assert [one.model for one in listed.models] == ["smol:latest", "llama3.2:latest"]
    first = listed.models[0]
    assert first.size is not None
    assert first.size > 90_000_000
    assert first.details is not None
    assert (first.details.family, first.details.quantization_level) == ("llama", "Q4_1")
    (running,) = client.ps().models
    assert (running.model, running.context_length) == ("smol:latest", 512)
    assert running.expires_at is not None
    shown = client.show("llama3.2")
    assert shown.modelinfo is not None
    assert shown.modelinfo["general.architecture"] == "llama"
    assert shown.modelinfo["llama.context_length"] == 512
    assert shown.modelinfo["general.memory_bytes"] > first.size
    assert shown.capabilities == ["completion"]
    assert shown.template is not None
    assert "<|im_start|>" in shown.template
    assert "Ollama is running" in runner.http.get("/").text
    assert runner.http.head("/").status_code == 200
    assert runner.http.head("/api/version").status_code == 200


def test_errors(client: ollama.Client) -> None:
    """With their status, streamed or not."""
    for stream in (False, True):
        with pytest.raises(ollama.ResponseError, match="model 'nope' not found") as raised:
            list(client.chat("nope", USER, stream=stream))
        assert raised.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="mode embedding") as raised:
        client.embed("smol", "x")
    assert raised.value.status_code == 400
    with pytest.raises(ollama.ResponseError, match="not found"):
        client.show("nope")
    with pytest.raises(ollama.ResponseError, match="managed elsewhere") as raised:
        client.pull("llama3.2")
    assert raised.value.status_code == 501
    with pytest.raises(ollama.ResponseError, match="float32") as raised:
        client.chat("smol", USER, options={"temperature": "hot"})
    assert raised.value.status_code == 400


def test_many_at_once(client: ollama.Client) -> None:
    """Streams do not mix."""

    def ask(seed: int) -> str:
        options = {**SHORT, "seed": seed, "temperature": 1.0}
        parts = client.chat("smol", USER, options=options, stream=True)
        return "".join(part.message.content or "" for part in parts)

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(ask, range(12)))


def test_a_client_that_leaves(client: ollama.Client, runner: Process) -> None:
    """The runner is idle soon after."""
    stream = client.chat("smol", USER, options={"num_predict": 5000}, stream=True)
    next(stream)
    stream.close()  # type: ignore[attr-defined]  # a generator, which its type does not say
    eventually(lambda: not runner.status()["inFlight"])


def test_embeddings(serve: Serve) -> None:
    """Of one text and of several; what a text is worth does not depend on its neighbours."""
    process = serve(mode=Mode.EMBEDDING, context_size=512)
    process.until("ready")
    with ollama.Client(str(process.http.base_url), trust_env=False, timeout=180) as client:
        two = client.embed("smol", ["a cat", "a dog"])
        assert len(two.embeddings) == 2
        assert len(two.embeddings[0]) == 576
        assert (two.prompt_eval_count or 0) > 0
        assert (two.total_duration or 0) > 0
        one = client.embed("smol", "a cat")
        assert one.embeddings[0] == pytest.approx(two.embeddings[0], abs=1e-2)
        old = client.embeddings("smol", "a cat")
        assert old.embedding == pytest.approx(one.embeddings[0], abs=1e-2)
        assert client.embed("smol", []).embeddings == []
        assert client.show("smol").capabilities == ["embedding"]
        with pytest.raises(ollama.ResponseError, match="mode embedding"):
            client.chat("smol", USER)
