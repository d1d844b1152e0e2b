"""What an Ollama request asks of the engine. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from modelrunner_protocol.durations import parse_keep_alive
from runnerd.ollama.members import (
    AskedWronglyError,
    Object,
    flag,
    listed,
    nested,
    objects,
    text,
    texts,
    whole,
)
from runnerd.ollama.messages import openai_messages, user_message
from runnerd.ollama.options import sampling, wanted_context

CHAT_PATH: Final = "/v1/chat/completions"
COMPLETION_PATH: Final = "/v1/completions"
INSERT_PATH: Final = "/infill"
EMBEDDING_PATH: Final = "/v1/embeddings"

_LEVELS: Final = ("low", "medium", "high", "max")
_MOST_LOGPROBS: Final = 20


class Kind(Enum):
    """The four questions that a model is asked."""

    CHAT = "chat"
    GENERATE = "generate"
    EMBED = "embed"
    EMBEDDINGS = "embeddings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request, put for the engine.

    Attributes:
        kind: Which question it is.
        model: The model's name as the client wrote it, for the answer.
        path: The engine's route; "" when there is nothing to ask it, see `reason`.
        body: What the engine is sent there.
        stream: The answer comes line by line.
        keep_alive: Seconds (negative: for ever) that were asked for, None when none were.
        reason: "load" or "unload" of a request without a prompt, "" of all others.
        context: `num_ctx`, None when it was not given.
        truncate: What does not fit is cut at its old end, instead of refused.
        needs: What the model must be able to do: "tools", "thinking", "vision".
    """

    kind: Kind
    model: str
    path: str
    body: dict[str, Any] = field(default_factory=dict)
    stream: bool = False
    keep_alive: float | None = None
    reason: str = ""
    context: int | None = None
    truncate: bool = True
    needs: tuple[str, ...] = ()


def asked(kind: Kind, data: Object, *, context: int | None) -> Asked:
    """What a body asks.

    Args:
        kind: The question.
        data: The body.
        context: Tokens that a conversation may have here, None when nobody knows.

    Raises:
        AskedWronglyError: it cannot be done as it is written.
    """
    name = text(data, "model") or text(data, "name")
    if not name:
        raise AskedWronglyError("model is required", "model")
    options = nested(data, "options")
    told = sampling(options, context=context)
    general: dict[str, Any] = {
        "kind": kind,
        "model": name,
        "keep_alive": _keep_alive(data, options),
        "context": wanted_context(options),
        "truncate": flag(data, "truncate", default=True),
    }
    return _READERS[kind](data, told, general)


def _chat(data: Object, told: dict[str, Any], general: dict[str, Any]) -> Asked:
    messages = objects(data, "messages")
    if not messages:
        return _nothing(general)
    body = told | _thinking(data) | _format(data) | _logprobs(data)
    body["messages"] = openai_messages(messages)
    needs = _needs(data)
    if any(message.get("images") for message in messages):
        needs += ("vision",)
    if tools := objects(data, "tools"):
        body["tools"] = [{"type": "function", **tool} for tool in tools]
        needs += ("tools",)
    stream = _stream(data, body, usage=True)
    return Asked(path=CHAT_PATH, body=body, stream=stream, needs=needs, **general)


def _generate(data: Object, told: dict[str, Any], general: dict[str, Any]) -> Asked:
    prompt, suffix, system = text(data, "prompt"), text(data, "suffix"), text(data, "system")
    images, raw = texts(data, "images"), flag(data, "raw", default=False)
    if text(data, "template"):
        raise AskedWronglyError(
            "a template of a request's own is not supported: set raw and send the whole prompt",
            "template",
        )
    if listed(data, "context"):
        raise AskedWronglyError(
            "context is not supported: send the messages so far to /api/chat", "context"
        )
    if raw and (system or images):
        raise AskedWronglyError("raw mode does not support system or images", "raw")
    if not prompt and not suffix:
        return _nothing(general)
    if suffix and not raw:
        return _insertion(data, told, general)
    if raw:
        body = told | {"prompt": prompt} | _grammar(data) | _raw_logprobs(data)
        stream = _stream(data, body, usage=True)
        return Asked(path=COMPLETION_PATH, body=body, stream=stream, **general)
    messages = [{"role": "system", "content": system}] if system else []
    body = told | _thinking(data) | _format(data) | _logprobs(data)
    body["messages"] = [*messages, user_message(prompt, images)]
    stream = _stream(data, body, usage=True)
    needs = _needs(data) + (("vision",) if images else ())
    return Asked(path=CHAT_PATH, body=body, stream=stream, needs=needs, **general)


def _insertion(data: Object, told: dict[str, Any], general: dict[str, Any]) -> Asked:
    """Text between two others: a route of llama-server's own, with names of its own."""
    body = {"n_predict" if name == "max_tokens" else name: told[name] for name in told}
    body |= {"input_prefix": text(data, "prompt"), "input_suffix": text(data, "suffix")}
    stream = _stream(data, body, usage=False)
    return Asked(path=INSERT_PATH, body=body | _grammar(data), stream=stream, **general)


def _embed(data: Object, told: dict[str, Any], general: dict[str, Any]) -> Asked:
    del told
    given = data.get("input")
    found = [given] if isinstance(given, str) and given else given or []
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise AskedWronglyError("invalid input type: 'input' must be a string or a list of them")
    body: dict[str, Any] = {"input": found, "encoding_format": "float"}
    if (dimensions := whole(data, "dimensions")) is not None:
        body["dimensions"] = dimensions
    return _embedding(body, general)


def _embeddings(data: Object, told: dict[str, Any], general: dict[str, Any]) -> Asked:
    del told
    prompt = text(data, "prompt")
    return _embedding({"input": [prompt] if prompt else [], "encoding_format": "float"}, general)


def _embedding(body: dict[str, Any], general: dict[str, Any]) -> Asked:
    if not body["input"]:
        return _nothing(general)
    return Asked(path=EMBEDDING_PATH, body=body, **general)


_READERS: Final[Mapping[Kind, Callable[[Object, dict[str, Any], dict[str, Any]], Asked]]] = {
    Kind.CHAT: _chat,
    Kind.GENERATE: _generate,
    Kind.EMBED: _embed,
    Kind.EMBEDDINGS: _embeddings,
}


def _nothing(general: dict[str, Any]) -> Asked:
    """A request without a prompt is there for what it does to the model."""
    reason = "unload" if general["keep_alive"] == 0 else "load"
    return Asked(path="", reason=reason, **general)


def _keep_alive(data: Object, options: Object) -> float | None:
    value = data.get("keep_alive")
    if value is None:
        value = options.get("keep_alive")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise AskedWronglyError(
            "'keep_alive' must be a duration or a number of seconds", "keep_alive"
        )
    try:
        return parse_keep_alive(value)
    except (ValueError, OverflowError) as error:
        raise AskedWronglyError(f"'keep_alive': {error}", "keep_alive") from error


def _stream(data: Object, body: dict[str, Any], *, usage: bool) -> bool:
    stream = flag(data, "stream", default=True)
    body["stream"] = stream
    if stream and usage:
        body["stream_options"] = {"include_usage": True}
    return stream


def _needs(data: Object) -> tuple[str, ...]:
    return ("thinking",) if data.get("think") else ()


def _thinking(data: Object) -> dict[str, Any]:
    think = data.get("think")
    if think is None:
        return {}
    if isinstance(think, bool):
        return {"chat_template_kwargs": {"enable_thinking": think}}
    if think not in _LEVELS:
        raise AskedWronglyError(
            f"invalid think value: {str(think)[:40]!r} "
            '(must be "high", "medium", "low", "max", true, or false)',
            "think",
        )
    return {"chat_template_kwargs": {"enable_thinking": True, "reasoning_effort": think}}


def _schema(data: Object) -> dict[str, Any] | None:
    found = data.get("format")
    if found is None or found == "":
        return None
    if found == "json":
        # llama-server lets OpenAI's "json_object" pass on models without tools.
        return {"type": "object"}
    if not isinstance(found, dict):
        raise AskedWronglyError(
            f'invalid format: {str(found)[:40]!r}; expected "json" or a valid JSON Schema object',
            "format",
        )
    return found


def _format(data: Object) -> dict[str, Any]:
    schema = _schema(data)
    if schema is None:
        return {}
    wanted = {"name": "response", "strict": True, "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": wanted}}


def _grammar(data: Object) -> dict[str, Any]:
    schema = _schema(data)
    return {} if schema is None else {"json_schema": schema}


def _top_logprobs(data: Object) -> int:
    top = whole(data, "top_logprobs") or 0
    if not 0 <= top <= _MOST_LOGPROBS:
        raise AskedWronglyError(f"top_logprobs must be between 0 and {_MOST_LOGPROBS}")
    return top


def _logprobs(data: Object) -> dict[str, Any]:
    top = _top_logprobs(data)
    if not flag(data, "logprobs", default=False):
        return {}
    return {"logprobs": True, "top_logprobs": top}


def _raw_logprobs(data: Object) -> dict[str, Any]:
    """The older route takes one number."""
    top = _top_logprobs(data)
    return {"logprobs": max(1, top)} if flag(data, "logprobs", default=False) else {}
