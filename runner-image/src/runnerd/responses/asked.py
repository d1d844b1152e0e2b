"""What a request for a response asks of the engine. Pure."""

from dataclasses import dataclass
from typing import Any, Final

from runnerd.responses.formats import text_of
from runnerd.responses.items import Item, NewId, input_items
from runnerd.responses.members import MISSING, WRONG_TYPE, Members
from runnerd.responses.tools import tools_of

CHAT_PATH: Final = "/v1/chat/completions"

_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_SUMMARIES: Final = ("auto", "concise", "detailed")
_MOST_LOGPROBS: Final = 20
_MOST_METADATA: Final = 16
_LOGPROBS: Final = "message.output_text.logprobs"
_INCLUDABLE: Final = frozenset(
    {
        _LOGPROBS,
        # Thoughts are given and taken in plain text, and images listed as they were sent.
        "reasoning.encrypted_content",
        "message.input_image.image_url",
    }
)
_NOT_HERE: Final = {
    "conversation": "send previous_response_id",
    "prompt": "no prompts are kept, send instructions and input",
    "safety_identifier": "nobody here watches over users",
    "context_management": "send less input",
    "moderation": "no model here moderates",
}
_SWITCHES: Final = "chat_template_kwargs"
_SAMPLING: Final = (
    "frequency_penalty",
    "min_p",
    "presence_penalty",
    "repeat_penalty",
    "seed",
    "stop",
    "top_k",
)
"""Not OpenAI's for responses, but of chat completions and llama-server: passed on as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request, put for the engine.

    Attributes:
        model: The model's name as the client wrote it, "" when it wrote none.
        body: What the engine is sent, but for the messages.
        told: What the response repeats of the request.
        items: The input in its one form; there may be references in it.
        instructions: What the system says first, in this response only.
        previous: The ID of the response that this one goes on from, "" for none.
        stream: The answer comes in events.
        store: The response is kept for later.
    """

    model: str
    body: dict[str, Any]
    told: dict[str, Any]
    items: list[Item]
    instructions: str | None
    previous: str
    stream: bool
    store: bool


def _streaming(*, stream: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"stream": stream}
    return told | {"stream_options": {"include_usage": True}} if stream else told


def asked(data: dict[str, Any], new_id: NewId) -> Asked:
    """What a body asks.

    Raises:
        AskedWronglyError: it cannot be done as it is written.
    """
    members = Members(data)
    model = members.text("model") or ""
    stream = members.flag("stream") or False
    store = members.flag("store")
    previous = members.text("previous_response_id") or ""
    _refuse(members)
    instructions = members.text("instructions")
    items = input_items(members, new_id)
    if not members.has("input"):
        raise members.wrong("input", "is required", MISSING)
    if not items and not instructions and not previous:
        raise members.wrong("input", "must hold at least one item")
    tools, (format_, text) = tools_of(members), text_of(members)
    sampled, sampling = _sampling(members)
    thinking, reasoning = _reasoning(members)
    counted, logprobs = _logprobs(members)
    body = tools.body | format_ | sampled | thinking | counted
    body |= {name: data[name] for name in _SAMPLING if members.has(name)}
    if (switches := members.nested(_SWITCHES)) is not None:
        body[_SWITCHES] = thinking.get(_SWITCHES, {}) | switches.data
    body |= _streaming(stream=stream)
    told = {
        "instructions": instructions,
        "previous_response_id": previous or None,
        "store": store is not False,
        "metadata": _metadata(members),
        "user": members.text("user"),
        "prompt_cache_key": members.text("prompt_cache_key"),
        "max_tool_calls": members.whole("max_tool_calls", 1),
        "text": text,
        "reasoning": reasoning,
        **tools.told,
        **sampling,
        **logprobs,
    }
    return Asked(
        model=model,
        body=body,
        told=told,
        items=items,
        instructions=instructions,
        previous=previous,
        stream=stream,
        store=store is not False,
    )


def _refuse(members: Members) -> None:
    """Say no to what would change the answer, or would be taken for done when it is not."""
    for name, why in _NOT_HERE.items():
        if members.has(name):
            raise members.unsupported(name, why)
    if members.flag("background"):
        raise members.unsupported("background", "an answer is given while its client waits")
    if members.one_of("truncation", ("auto", "disabled")) == "auto":
        raise members.unsupported("truncation", "send less input, nothing is left out of it")
    if (members.text("service_tier") or "auto") not in {"auto", "default"}:
        raise members.unsupported("service_tier", "all requests are served alike")
    options = members.nested("stream_options")
    if options is not None and options.flag("include_obfuscation"):
        raise options.unsupported("include_obfuscation", "events are as long as what they tell")
    for index, one in enumerate(_included(members)):
        if one not in _INCLUDABLE:
            raise members.unsupported(f"include[{index}]", f'nothing here has "{one[:60]}"')


def _included(members: Members) -> list[str]:
    found = members.data.get("include")
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise members.wrong("include", "must be a list of strings", WRONG_TYPE)
    return found


def _sampling(members: Members) -> tuple[dict[str, Any], dict[str, Any]]:
    told: dict[str, Any] = {
        "temperature": members.number("temperature", 0, 2),
        "top_p": members.number("top_p", 0, 1),
        "max_output_tokens": members.whole("max_output_tokens", 1),
    }
    body = {name: told[name] for name in ("temperature", "top_p") if told[name] is not None}
    if told["max_output_tokens"] is not None:
        body["max_tokens"] = told["max_output_tokens"]
    parallel = members.flag("parallel_tool_calls")
    if parallel is not None:
        body["parallel_tool_calls"] = parallel
    told["parallel_tool_calls"] = parallel is not False
    return body, told


def _reasoning(members: Members) -> tuple[dict[str, Any], dict[str, Any]]:
    found = members.nested("reasoning")
    if found is None:
        return {}, {"effort": None, "summary": None}
    effort = found.one_of("effort", _EFFORTS)
    summary = found.one_of("summary", _SUMMARIES)
    told = {"effort": effort, "summary": summary}
    if effort is None:
        return {}, told
    # llama-server knows the first from b10434 on; templates have always read the second.
    switch: dict[str, Any] = {"enable_thinking": effort != "none"}
    if effort != "none":
        switch["reasoning_effort"] = effort
    return {"reasoning_effort": effort, _SWITCHES: switch}, told


def _logprobs(members: Members) -> tuple[dict[str, Any], dict[str, Any]]:
    top = members.whole("top_logprobs", 0, _MOST_LOGPROBS)
    if top is None and _LOGPROBS not in _included(members):
        return {}, {"top_logprobs": 0}
    # llama-server takes 0 for no probabilities at all.
    return {"logprobs": True, "top_logprobs": top or 1}, {"top_logprobs": top or 0}


def _metadata(members: Members) -> dict[str, str]:
    found = members.nested("metadata")
    if found is None:
        return {}
    if len(found.data) > _MOST_METADATA:
        raise members.wrong("metadata", f"must have at most {_MOST_METADATA} members")
    return {name: found.text(name) or "" for name in found.data}
