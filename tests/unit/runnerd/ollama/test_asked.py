"""What an Ollama request asks of the engine."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runnerd.ollama.asked import Asked, Kind, asked
from runnerd.ollama.members import AskedWronglyError

USER = [{"role": "user", "content": "hi"}]
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
MEMBERS = [
    "messages",
    "prompt",
    "suffix",
    "system",
    "template",
    "context",
    "raw",
    "images",
    "format",
    "think",
    "tools",
    "stream",
    "options",
    "keep_alive",
    "input",
    "dimensions",
    "truncate",
    "logprobs",
    "top_logprobs",
    "name",
]


def ask(kind: Kind, **data: Any) -> Asked:
    """What a body asks of a model of 2048 tokens."""
    return asked(kind, {"model": "smol", **data}, context=2048)


def chat(**data: Any) -> Asked:
    """The same of a chat that says something."""
    return ask(Kind.CHAT, messages=USER, **data)


def test_a_chat_is_a_stream() -> None:
    """Unless it is told not to be; a stream brings its usage."""
    found = chat(options={"num_predict": 3})
    assert found.path == "/v1/chat/completions"
    assert found.stream
    assert found.body == {
        "max_tokens": 3,
        "messages": USER,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert not chat(stream=False).stream
    assert "stream_options" not in chat(stream=False).body


def test_a_prompt_is_a_message() -> None:
    """With what the system says before it, and images beside it."""
    found = ask(Kind.GENERATE, prompt="hi", system="be kind", images=["/9j/"])
    assert found.path == "/v1/chat/completions"
    assert [one["role"] for one in found.body["messages"]] == ["system", "user"]
    assert found.needs == ("vision",)


def test_a_raw_prompt() -> None:
    """It is completed as it is; its schema and its logprobs have other names there."""
    found = ask(Kind.GENERATE, prompt="x", raw=True, format=SCHEMA, logprobs=True)
    assert found.path == "/v1/completions"
    assert found.body["prompt"] == "x"
    assert found.body["json_schema"] == SCHEMA
    assert found.body["logprobs"] == 1


def test_text_in_between() -> None:
    """The engine's own route, whose words are others."""
    found = ask(Kind.GENERATE, prompt="a", suffix="b", stream=False, options={"num_predict": 4})
    assert found.path == "/infill"
    assert found.body == {
        "n_predict": 4,
        "input_prefix": "a",
        "input_suffix": "b",
        "stream": False,
    }


@pytest.mark.parametrize(
    ("given", "schema"),
    [(None, None), ("", None), ("json", {"type": "object"}), (SCHEMA, SCHEMA)],
)
def test_formats(given: Any, schema: Any) -> None:
    """`json` is any object: llama-server does not enforce OpenAI's `json_object`."""
    found = chat(format=given).body.get("response_format")
    assert (found and found["json_schema"]["schema"]) == schema


@pytest.mark.parametrize(
    ("think", "told", "needs"),
    [
        (None, None, ()),
        (True, {"enable_thinking": True}, ("thinking",)),
        (False, {"enable_thinking": False}, ()),
        ("high", {"enable_thinking": True, "reasoning_effort": "high"}, ("thinking",)),
    ],
)
def test_thinking(think: Any, told: Any, needs: tuple[str, ...]) -> None:
    """A matter of the model's template; to turn it off asks nothing of a model."""
    for found in (chat(think=think), ask(Kind.GENERATE, prompt="x", think=think)):
        assert found.body.get("chat_template_kwargs") == told
        assert found.needs == needs


def test_tools_and_logprobs() -> None:
    """Tools pass as they are; their schemas keep their whole numbers."""
    tool = {"function": {"name": "w", "parameters": SCHEMA}}
    found = chat(tools=[tool], logprobs=True, top_logprobs=2)
    assert found.body["tools"] == [{"type": "function", **tool}]
    assert found.needs == ("tools",)
    assert (found.body["logprobs"], found.body["top_logprobs"]) == (True, 2)
    images = [{"role": "user", "images": ["/9j/"]}]
    assert ask(Kind.CHAT, messages=images).needs == ("vision",)


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        ({}, None),
        ({"keep_alive": "5m"}, 300),
        ({"keep_alive": 300}, 300),
        ({"keep_alive": -1}, -1),
        ({"options": {"keep_alive": "1h"}}, 3600),
        ({"keep_alive": 0, "options": {"keep_alive": "1h"}}, 0),
        ({"keep_alive": None, "options": {"keep_alive": 7}}, 7),
    ],
)
def test_keep_alive(data: dict[str, Any], seconds: float | None) -> None:
    """At the top, else among the options; numbers are seconds."""
    assert chat(**data).keep_alive == seconds


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Kind.CHAT, {}),
        (Kind.CHAT, {"messages": []}),
        (Kind.GENERATE, {}),
        (Kind.GENERATE, {"prompt": "", "raw": True, "system": ""}),
        (Kind.EMBED, {}),
        (Kind.EMBED, {"input": ""}),
        (Kind.EMBED, {"input": []}),
        (Kind.EMBEDDINGS, {"prompt": ""}),
    ],
    ids=range(8),
)
def test_without_a_prompt(kind: Kind, data: dict[str, Any]) -> None:
    """The model is loaded, or unloaded with a keep_alive of 0; the engine is not asked."""
    assert (ask(kind, **data).path, ask(kind, **data).reason) == ("", "load")
    assert ask(kind, keep_alive=0, **data).reason == "unload"
    assert ask(kind, keep_alive="0s", **data).reason == "unload"
    assert ask(kind, keep_alive="1m", **data).reason == "load"


def test_embeddings() -> None:
    """One text or several; the older route has one."""
    assert ask(Kind.EMBED, input="a").body == {"input": ["a"], "encoding_format": "float"}
    found = ask(Kind.EMBED, input=["a", "b"], dimensions=3, truncate=False)
    assert (found.body["input"], found.body["dimensions"]) == (["a", "b"], 3)
    assert not found.truncate
    assert ask(Kind.EMBEDDINGS, prompt="p").body["input"] == ["p"]


def test_names() -> None:
    """`name` is an older word for `model`."""
    assert asked(Kind.CHAT, {"name": "x"}, context=None).model == "x"
    assert chat(options={"num_ctx": 9999}).context == 9999


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        (Kind.CHAT, {"model": ""}, "model is required"),
        (Kind.CHAT, {"model": 3}, "'model' must be a string"),
        (Kind.CHAT, {"messages": "x"}, "'messages' must be a list"),
        (Kind.CHAT, {"messages": USER, "stream": "x"}, "'stream' must be true or false"),
        (Kind.CHAT, {"messages": USER, "tools": {}}, "'tools' must be a list"),
        (Kind.CHAT, {"messages": USER, "think": "hard"}, "invalid think value: 'hard'"),
        (Kind.CHAT, {"messages": USER, "format": "xml"}, "invalid format: 'xml'"),
        (Kind.CHAT, {"messages": USER, "options": []}, "'options' must be an object"),
        (Kind.CHAT, {"messages": USER, "top_logprobs": 21}, "between 0 and 20"),
        (Kind.CHAT, {"keep_alive": "soon"}, "'soon' is not a keep-alive"),
        (Kind.CHAT, {"keep_alive": True}, "must be a duration"),
        (Kind.GENERATE, {"prompt": "x", "template": "{{ .Prompt }}"}, "set raw"),
        (Kind.GENERATE, {"prompt": "x", "context": [1]}, "/api/chat"),
        (Kind.GENERATE, {"prompt": "x", "raw": True, "system": "s"}, "raw mode"),
        (Kind.EMBED, {"input": 3}, "invalid input type"),
        (Kind.EMBED, {"input": [3]}, "invalid input type"),
    ],
    ids=range(16),
)
def test_what_cannot_be_done(kind: Kind, data: dict[str, Any], words: str) -> None:
    """It is a 400 that says what is wrong."""
    with pytest.raises(AskedWronglyError, match=words) as raised:
        ask(kind, **data)
    assert raised.value.found.status == 400


@given(st.sampled_from(Kind), st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=6))
def test_any_json(kind: Kind, data: dict[str, Any]) -> None:
    """Whatever the members hold, it is a question or an error of the client."""
    with contextlib.suppress(AskedWronglyError):
        found = ask(kind, **data)
        assert bool(found.path) is bool(found.body)
        assert found.reason in ({""} if found.path else {"load", "unload"})
