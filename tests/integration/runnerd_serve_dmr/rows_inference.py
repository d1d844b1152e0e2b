"""What models are asked in OpenAI's and Anthropic's words: rows 075 to 122 of the recording."""

from typing import Any, Final

from tests.integration.runnerd_serve_dmr.recorded import (
    EVENTS,
    JSON,
    JSON_OF_THE_ENGINE,
    TEXT,
    Answer,
    Row,
)
from tests.integration.runnerd_serve_dmr.rows_server import METHODS, NOT_FOUND, SDKS
from tests.integration.runnerd_serve_dmr.shapes import (
    ANTHROPIC,
    ENGINE,
    NAME,
    OPENAI,
    TIMINGS,
    USAGE,
    chat,
    chunk,
    message,
)

CHAT: Final = "/engines/v1/chat/completions"
MESSAGES: Final = "/anthropic/v1/messages"
NAMES: Final = "an answer names the model as the client did, not by a file of the server's"
_HI: dict[str, Any] = {"messages": [{"role": "user", "content": "Say hi."}]}
_SAY: dict[str, Any] = {"model": NAME, **_HI, "max_tokens": 6, "temperature": 0}
_ASK: dict[str, Any] = {"model": NAME, "max_tokens": 4, **_HI}
_NONE: dict[str, Any] = {"model": "ai/no-such-model"}
_OPENAI_400 = Answer(400, JSON, OPENAI)
_OPENAI_404 = Answer(404, JSON, OPENAI)
_FUNCTION = {
    "name": "get_weather",
    "description": "d",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
_SCHEMA = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
    "additionalProperties": False,
}


def _large() -> bytes:
    return b'{"model": "ai/smollm2", "messages": [{"role": "user", "content": "' + b"x" * (33 << 20)


def _chat(number: int, body: dict[str, Any], path: str = CHAT, **more: Any) -> Row:
    """A chat that is answered."""
    theirs = Answer(200, JSON_OF_THE_ENGINE, chat(str, **more))
    ours = Answer(200, JSON_OF_THE_ENGINE, chat(NAME, **more))
    return Row(number, "POST", path, theirs, body, ours=ours, why=NAMES)


def _refused(
    number: int, path: str, body: Any, theirs: Answer, status: int = 400, method: str = "POST"
) -> Row:
    """An error in text, which is JSON here."""
    ours = Answer(status, JSON, OPENAI)
    return Row(number, method, path, theirs, body, ours=ours, why=SDKS)


_TOKEN = {"id": int, "token": str, "bytes": list, "logprob": float}
_LOGPROBS = {"content": [{**_TOKEN, "top_logprobs": [_TOKEN]}]}
_INVALID = Answer(400, TEXT, says="invalid request")
_UNKNOWN = Answer(404, TEXT, says="model not found")
_RANK = {"model": NAME, "query": "q", "documents": ["d", "e"]}
_RANKS = {
    "model": NAME,
    "object": "list",
    "usage": {"prompt_tokens": int, "total_tokens": int},
    "results": [
        {"index": int, "relevance_score": float},
        {"index": int, "relevance_score": float},
    ],
}
_BACKEND = Answer(404, TEXT, says="backend not found")
_RESPONSE = {
    **dict.fromkeys(("id", "object", "model", "status", "output_text"), str),
    "created_at": float,
    "output": list,
    "usage": dict,
    "tools": object,
    "error": None,
    **dict.fromkeys(("incomplete_details", "instructions", "metadata", "temperature"), object),
    **dict.fromkeys(("parallel_tool_calls", "tool_choice", "top_p", "store"), object),
    **dict.fromkeys(("previous_response_id", "reasoning", "user"), object),
    "max_output_tokens": 6,
    "reasoning_effort": None,
}
_OUR_RESPONSE = {
    **{key: kind for key, kind in _RESPONSE.items() if key != "reasoning_effort"},
    **dict.fromkeys(
        ("background?", "service_tier?", "text?", "truncation?", "completed_at?"), object
    ),
    **dict.fromkeys(("top_logprobs?", "max_tool_calls?", "prompt_cache_key?"), object),
    **dict.fromkeys(("safety_identifier?", "output_text?", "user?"), object),
}

INFERENCE: Final = (
    _chat(75, _SAY),
    Row(
        76,
        "POST",
        "/engines/llama.cpp/v1/chat/completions",
        Answer(200, EVENTS, lines=(chunk(str), chunk(str, usage=USAGE, timings=TIMINGS))),
        _SAY | {"stream": True, "stream_options": {"include_usage": True}},
        ours=Answer(200, EVENTS, lines=(chunk(NAME), chunk(NAME, usage=USAGE, timings=TIMINGS))),
        why=NAMES,
    ),
    _refused(77, "/engines/vllm/v1/chat/completions", _SAY, _BACKEND),
    _refused(78, "/engines/bogus/v1/chat/completions", _SAY, _BACKEND, 404),
    _chat(
        79,
        _SAY
        | {
            "max_tokens": 32,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "a", "strict": True, "schema": _SCHEMA},
            },
        },
        "/v1/chat/completions",
    ),
    _chat(
        80,
        _SAY | {"max_tokens": 16, "tools": [{"type": "function", "function": _FUNCTION}]},
        "/v1/chat/completions",
    ),
    _chat(
        81,
        _SAY | {"max_tokens": 2, "logprobs": True, "top_logprobs": 2},
        "/v1/chat/completions",
        logprobs=_LOGPROBS,
    ),
    _refused(82, CHAT, _SAY | _NONE, _UNKNOWN, 404),
    _refused(83, CHAT, _SAY | _NONE | {"stream": True}, _UNKNOWN, 404),
    _refused(84, CHAT, b"{not json", _INVALID),
    _refused(85, CHAT, b"", _INVALID),
    _refused(86, CHAT, _HI, Answer(400, TEXT, says="model is required")),
    Row(
        87,
        "POST",
        CHAT,
        Answer(400, JSON_OF_THE_ENGINE, ENGINE),
        {"model": NAME},
        ours=_OPENAI_400,
        why="the error's code is text with OpenAI, and a number with llama.cpp",
    ),
    Row(
        88,
        "POST",
        CHAT,
        Answer(200, JSON_OF_THE_ENGINE, chat(str)),
        {"model": NAME, "messages": [], "max_tokens": 6, "temperature": 0},
        ours=Answer(200, JSON_OF_THE_ENGINE, chat(NAME)),
        why=NAMES,
    ),
    Row(
        89,
        "POST",
        CHAT,
        Answer(400, JSON_OF_THE_ENGINE, ENGINE),
        _SAY | {"temperature": "hot"},
        ours=Answer(400, JSON_OF_THE_ENGINE, OPENAI),
        why="the error's code is text with OpenAI, and a number with llama.cpp",
    ),
    _chat(90, _SAY | {"keep_alive": "10m"}),
    Row(
        91,
        "GET",
        CHAT,
        Answer(404, TEXT, says="not found"),
        ours=Answer(405, JSON, OPENAI, headers={"Allow": "POST"}),
        why=METHODS,
    ),
    _refused(92, CHAT, _large, Answer(400, TEXT, says="request too large"), 413),
    Row(
        93,
        "POST",
        "/engines/v1/completions",
        Answer(200, JSON_OF_THE_ENGINE, says="/model.gguf"),
        {"model": NAME, "prompt": "Once", "max_tokens": 4, "temperature": 0},
        ours=Answer(
            200,
            JSON_OF_THE_ENGINE,
            {
                "choices": [{"text": str, "index": 0, "logprobs": None, "finish_reason": "length"}],
                "created": int,
                "model": NAME,
                "system_fingerprint": str,
                "object": "text_completion",
                "usage": USAGE,
                "id": str,
                "timings": TIMINGS,
            },
        ),
        why=NAMES,
    ),
    *(
        Row(
            number,
            "POST",
            "/engines/v1/embeddings",
            Answer(
                200,
                JSON_OF_THE_ENGINE,
                {
                    "model": NAME,
                    "object": "list",
                    "usage": {"prompt_tokens": int, "total_tokens": int},
                    "data": [{"embedding": kind, "index": int, "object": "embedding", **more}],
                },
            ),
            {"model": NAME, "input": asked, **said},
        )
        for number, asked, kind, said, more in (
            (94, ["a", "b"], list, {}, {}),
            (95, "a", str, {"encoding_format": "base64"}, {"encoding_format": "base64"}),
        )
    ),
    _refused(96, "/rerank", _NONE | {"query": "q", "documents": ["d"]}, _UNKNOWN, 404),
    Row(
        97,
        "POST",
        "/rerank",
        Answer(200, JSON_OF_THE_ENGINE, _RANKS),
        _RANK,
        ours=Answer(200, JSON, _RANKS),
        why="the answer is put together here, since other clients want other shapes of it",
    ),
    Row(
        98,
        "POST",
        "/score",
        Answer(404, JSON_OF_THE_ENGINE, ENGINE),
        _RANK,
        ours=Answer(
            200,
            JSON,
            {
                **dict.fromkeys(("id", "model"), str),
                "object": "list",
                "created": int,
                "data": [{"index": int, "object": "score", "score": float}] * 2,
                "usage": _RANKS["usage"],
            },
        ),
        why="llama-server has no such path; its ranks are put into vLLM's shape",
    ),
    Row(
        99,
        "POST",
        "/v1/rerank",
        _BACKEND,
        _RANK,
        ours=Answer(200, JSON, _RANKS),
        why="clients of Jina, Cohere and vLLM ask there",
    ),
    Row(
        100,
        "POST",
        "/engines/v1/responses",
        Answer(200, JSON, _RESPONSE),
        {"model": NAME, "input": "Say hi.", "max_output_tokens": 6},
        ours=Answer(200, JSON, _OUR_RESPONSE),
        why="OpenAI's own members, of which reasoning_effort is none",
    ),
    Row(
        101,
        "POST",
        "/v1/responses",
        Answer(
            200,
            EVENTS,
            lines=(
                {"type": "response.created", "sequence_number": 1, "response": dict},
                {"type": "response.completed", "sequence_number": int, "response": dict},
            ),
        ),
        {"model": NAME, "input": "Say hi.", "max_output_tokens": 6, "stream": True},
        ours=Answer(
            200,
            EVENTS,
            lines=(
                {"type": "response.created", "sequence_number": 0, "response": dict},
                {
                    "type": ("response.completed", "response.incomplete"),
                    "sequence_number": int,
                    "response": dict,
                },
            ),
        ),
        why="OpenAI counts from 0, and says that an answer was cut off",
    ),
    Row(
        102,
        "POST",
        "/v1/responses",
        Answer(404, JSON, says="failed"),
        _NONE | {"input": "hi"},
        ours=_OPENAI_404,
        why="OpenAI's SDKs read an error; a failed response is for what began",
    ),
    *(
        Row(
            number,
            method,
            path,
            Answer(status, JSON, {"error": {"code": str, "message": str}}),
            body,
            ours=Answer(status, JSON, OPENAI),
            why="OpenAI's error has four members",
        )
        for number, method, path, body, status in (
            (103, "POST", "/v1/responses", {"input": "hi"}, 400),
            (104, "POST", "/v1/responses", b"{not json", 400),
            (105, "GET", "/v1/responses/resp_none", None, 404),
        )
    ),
)


def _message(number: int, body: dict[str, Any], path: str = MESSAGES) -> Row:
    theirs = Answer(200, JSON_OF_THE_ENGINE, message(str))
    ours = Answer(200, JSON_OF_THE_ENGINE, message(NAME))
    return Row(number, "POST", path, theirs, body, ours=ours, why=NAMES)


_ANTHROPIC_400 = Answer(400, JSON, ANTHROPIC)
_ANTHROPIC_404 = Answer(404, JSON, ANTHROPIC)
_TOOL = {"name": "get_weather", "description": "d", "input_schema": _FUNCTION["parameters"]}

MESSAGES_ROWS: Final = (
    _message(109, _ASK | {"max_tokens": 6}),
    Row(
        110,
        "POST",
        MESSAGES,
        Answer(
            200,
            EVENTS,
            lines=({"type": "message_start", "message": dict}, {"type": "message_stop"}),
        ),
        _ASK | {"max_tokens": 6, "stream": True},
    ),
    _message(111, _ASK | {"max_tokens": 8, "tools": [_TOOL]}),
    Row(
        112,
        "POST",
        f"{MESSAGES}/count_tokens",
        Answer(200, JSON_OF_THE_ENGINE, {"input_tokens": int}),
        {"model": NAME, **_HI},
    ),
    _message(113, _ASK, "/v1/messages"),
    Row(114, "POST", MESSAGES, _ANTHROPIC_404, _ASK | _NONE),
    Row(
        115,
        "POST",
        "/v1/messages",
        _UNKNOWN,
        _ASK | _NONE,
        ours=_ANTHROPIC_404,
        why="whoever asks there reads Anthropic's errors",
    ),
    Row(116, "POST", f"{MESSAGES}/count_tokens", _ANTHROPIC_404, _NONE | _HI),
    Row(117, "POST", MESSAGES, _ANTHROPIC_400, b"{not json"),
    Row(118, "POST", MESSAGES, _ANTHROPIC_400, _HI),
    _message(119, {"model": NAME, **_HI}),
    Row(
        120,
        "GET",
        MESSAGES,
        Answer(405, TEXT, headers={"Allow": "POST"}),
        ours=Answer(405, JSON, ANTHROPIC, headers={"Allow": "POST"}),
        why="whoever asks there reads Anthropic's errors",
    ),
    Row(
        121,
        "GET",
        "/anthropic/v1/models",
        NOT_FOUND,
        ours=Answer(
            200,
            JSON,
            {"data": [dict], "has_more": False, "first_id": str, "last_id": str},
        ),
        why="Anthropic's SDK can list models",
    ),
    Row(122, "POST", MESSAGES, Answer(413, JSON, ANTHROPIC), _large),
)
