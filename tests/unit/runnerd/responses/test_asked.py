"""What a request for a response asks of the engine."""

import itertools
from typing import Any

import pytest

from runnerd.responses.asked import Asked, asked
from runnerd.responses.members import AskedWronglyError

SWITCHES = "chat_template_kwargs"


def ask(**data: Any) -> Asked:
    """A request that says hi."""
    count = itertools.count()
    return asked({"input": "hi", **data}, lambda word: f"{word}_{next(count)}")


def test_nothing_but_input() -> None:
    """The engine is asked for nothing special; every member of the response has a value."""
    found = ask()
    assert found.body == {"stream": False}
    assert (found.model, found.previous, found.instructions) == ("", "", None)
    assert (found.stream, found.store) == (False, True)
    assert found.told == {
        "instructions": None,
        "previous_response_id": None,
        "store": True,
        "metadata": {},
        "user": None,
        "prompt_cache_key": None,
        "max_tool_calls": None,
        "text": {"format": {"type": "text"}},
        "reasoning": {"effort": None, "summary": None},
        "tools": [],
        "tool_choice": "auto",
        "temperature": None,
        "top_p": None,
        "max_output_tokens": None,
        "parallel_tool_calls": True,
        "top_logprobs": 0,
    }


@pytest.mark.parametrize(
    ("data", "body"),
    [
        ({"temperature": 0.7, "top_p": 0.9}, {"temperature": 0.7, "top_p": 0.9}),
        ({"max_output_tokens": 100}, {"max_tokens": 100}),
        ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
        ({"seed": 1, "top_k": 5, "stop": ["x"]}, {"seed": 1, "top_k": 5, "stop": ["x"]}),
        ({"top_logprobs": 5}, {"logprobs": True, "top_logprobs": 5}),
        (
            {"include": ["message.output_text.logprobs"]},
            {"logprobs": True, "top_logprobs": 1},
        ),
        (
            {"reasoning": {"effort": "none"}},
            {"reasoning_effort": "none", SWITCHES: {"enable_thinking": False}},
        ),
        (
            {"reasoning": {"effort": "high", "summary": "auto"}},
            {
                "reasoning_effort": "high",
                SWITCHES: {"enable_thinking": True, "reasoning_effort": "high"},
            },
        ),
        ({"reasoning": {}}, {}),
        ({SWITCHES: {"a": 1}}, {SWITCHES: {"a": 1}}),
        (
            {SWITCHES: {"enable_thinking": True}, "reasoning": {"effort": "none"}},
            {"reasoning_effort": "none", SWITCHES: {"enable_thinking": True}},
        ),
    ],
    ids=range(11),
)
def test_what_the_engine_is_sent(data: dict[str, Any], body: dict[str, Any]) -> None:
    """In the words of chat completions."""
    assert ask(**data).body == {"stream": False, **body}


def test_a_stream() -> None:
    """Its tokens are counted, too."""
    found = ask(stream=True)
    assert found.stream
    assert found.body == {"stream": True, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("instructions", "Be brief."),
        ("previous_response_id", "resp_x"),
        ("store", False),
        ("metadata", {"a": "b"}),
        ("user", "me"),
        ("prompt_cache_key", "k"),
        ("max_tool_calls", 3),
        ("reasoning", {"effort": "low", "summary": "auto"}),
        ("temperature", 0.5),
        ("top_p", 1),
        ("max_output_tokens", 7),
        ("parallel_tool_calls", False),
        ("top_logprobs", 3),
    ],
)
def test_what_the_response_repeats(name: str, value: Any) -> None:
    """As it was asked."""
    assert ask(**{name: value}).told[name] == value


@pytest.mark.parametrize(
    "data",
    [
        {"background": False},
        {"truncation": "disabled"},
        {"truncation": None},
        {"stream_options": None},
        {"stream_options": {"include_obfuscation": False}},
        {"conversation": None},
        {"prompt": None},
        {"service_tier": "auto"},
        {"service_tier": "default"},
        {"include": []},
        {"include": ["reasoning.encrypted_content", "message.input_image.image_url"]},
        {"safety_identifier": None},
        {"something_new": 5},
    ],
    ids=str,
)
def test_what_makes_no_difference(data: dict[str, Any]) -> None:
    """Members that ask for what there is anyway. Source: pkg/responses/handler_test.go."""
    assert ask(**data).body == {"stream": False}


@pytest.mark.parametrize(
    ("data", "param"),
    [
        ({"include": ["file_search_call.results"]}, "include[0]"),
        ({"include": "x"}, "include"),
        ({"stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation"),
        ({"truncation": "auto"}, "truncation"),
        ({"truncation": "some"}, "truncation"),
        ({"background": True}, "background"),
        ({"conversation": {"id": "conv_123"}}, "conversation"),
        ({"conversation": "conv_123"}, "conversation"),
        ({"prompt": {"id": "pmpt_123"}}, "prompt"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"safety_identifier": "user-123"}, "safety_identifier"),
        ({"context_management": []}, "context_management"),
        ({"moderation": {"model": "x"}}, "moderation"),
        ({"model": 5}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"store": "yes"}, "store"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"instructions": ["x"]}, "instructions"),
        ({"previous_response_id": 5}, "previous_response_id"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 2.5}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": 1.5}, "max_output_tokens"),
        ({"max_tool_calls": "x"}, "max_tool_calls"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"parallel_tool_calls": "x"}, "parallel_tool_calls"),
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning": {"effort": "extreme"}}, "reasoning.effort"),
        ({"reasoning": {"summary": "long"}}, "reasoning.summary"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"a": 5}}, "metadata.a"),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata"),
        ({"user": 5}, "user"),
        ({SWITCHES: "x"}, SWITCHES),
    ],
    ids=range(36),
)
def test_what_cannot_be_done(data: dict[str, Any], param: str) -> None:
    """A 400 with a sentence that names the member."""
    with pytest.raises(AskedWronglyError) as raised:
        ask(**data)
    found = raised.value.found
    assert (found.status, found.param) == (400, param)
    assert param in found.message


def test_an_empty_input_goes_on() -> None:
    """From a response, or from instructions."""
    assert ask(input=[], previous_response_id="resp_x").items == []
    assert ask(input=[], instructions="Say hi.").items == []
