"""Where the gateway answers a recorded request in another way than `runnerd serve`, and why.

What is not here is answered alike by both.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from tests.integration.runnerd_serve_dmr.recorded import JSON, LINES, TEXT, Answer, Row
from tests.integration.runnerd_serve_dmr.rows_pull import QUIET
from tests.integration.runnerd_serve_dmr.rows_server import SDKS, SENTENCE
from tests.integration.runnerd_serve_dmr.shapes import (
    ANTHROPIC,
    NAME,
    OLLAMA,
    OPENAI,
    OUR_DETAILS,
    TAG,
    configured,
    ollama_listed,
    ollama_running,
    openai_model,
    row,
    success,
)

OWN_NAME: Final = "smollm2"
NOT_KEPT: Final = "replicas do not know what others answered, and a cluster has logs and metrics"
TOLD: Final = "what a Model is configured with is its spec, which is always there"
ENGINES_HERE: Final = "a ModelRunner has an image for these engines, and for no others"
NAMES_TOO: Final = "a Model goes by its own name, too"
AS_ASKED: Final = "one model is told by the name that was asked for"
ITS_OWN: Final = (
    "what runs is a Model, and told by its name; its ModelRunner's keep_alive is not known"
)
REQUEST_ID: Final = "Anthropic's errors name the request"
ONE_MODE: Final = "a Model has one mode"
LATER: Final = "the operator pulls: what goes wrong comes when the stream has begun"
LAYERLESS: Final = "what is told first is that a Model was made, whose layers nobody knows yet"
LOOKED: Final = "the operator looks whether the source has moved, which is told meanwhile"
NOBODY: Final = "Ollama answers so: no client reads a body"

_LIST: Final = Answer(
    200, JSON, {"object": "list", "data": [openai_model(TAG), openai_model(OWN_NAME)]}
)
_ONE: Final = Answer(200, JSON, openai_model(NAME))
_ERROR: Final = ANTHROPIC | {"request_id": str}
_NOT_KEPT: Final = Answer(501, TEXT, says="stand-alone servers only")
_ROW: Final = row() | {"model_name": OWN_NAME}
_PS: Final = Answer(
    200,
    JSON,
    {
        "models": [
            ollama_running(
                f"{OWN_NAME}:latest", size=int, size_vram=int, context_length=int, details=dict
            )
        ]
    },
)
_WRONG_MODE: Final = Answer(400, JSON, OPENAI, says="unsupported_mode")
_MAKING: Final = {
    "type": "progress",
    "message": str,
    "total": 0,
    "layer": {"size": 0, "current": 0},
    "mode": "pull",
}
_DENIED: Final = Answer(403, JSON, OPENAI, says="Origin not allowed")


def _tagged(name: str) -> dict[str, Any]:
    return ollama_listed(name, int, **OUR_DETAILS)


def _each(numbers: tuple[int, ...], answer: Answer, why: str) -> dict[int, tuple[Answer, str]]:
    return dict.fromkeys(numbers, (answer, why))


DIFFERENT: Final[Mapping[int, tuple[Answer, str]]] = {
    6: (Answer(404, JSON, OPENAI), SDKS),
    9: (
        Answer(403, JSON, OPENAI),
        "this gateway was told of http://localhost alone, without a port",
    ),
    **_each((10, 12), _DENIED, SDKS),
    **_each((34, 35, 38, 40, 41), _LIST, NAMES_TOO),
    **_each((42, 43), _ONE, AS_ASKED),
    46: (Answer(200, JSON, {"llama.cpp": str, "vllm": str}), ENGINES_HERE),
    48: (Answer(200, JSON, [_ROW]), ITS_OWN),
    49: (Answer(200, JSON, configured(TAG, {})), TOLD),
    53: (Answer(200, JSON, [_ROW | {"keep_alive": "10m0s"}]), ITS_OWN),
    55: (Answer(200, JSON, [_ROW | {"keep_alive": "-1"}]), ITS_OWN),
    56: (Answer(404, TEXT, says="There is no engine `bogus` here"), SENTENCE),
    57: (Answer(404, TEXT, says="model not found: ai/no-such-model"), SENTENCE),
    **_each((65, 108), _NOT_KEPT, NOT_KEPT),
    74: (Answer(200, JSON, [_ROW | {"keep_alive": "-1"}]), ITS_OWN),
    **_each((94, 95, 97, 98, 99), _WRONG_MODE, ONE_MODE),
    106: (Answer(200, JSON, [_ROW | {"keep_alive": "-1"}]), ITS_OWN),
    107: (
        Answer(200, "text/plain; version=0.0.4; charset=utf-8", says="modelrunner_gateway_"),
        "the engines' metrics are their pods'",
    ),
    **_each((114, 115, 116), Answer(404, JSON, _ERROR), REQUEST_ID),
    **_each((117, 118), Answer(400, JSON, _ERROR), REQUEST_ID),
    120: (Answer(405, JSON, _ERROR, headers={"Allow": "POST"}), REQUEST_ID),
    124: (
        Answer(200, JSON, {"models": [_tagged(TAG), _tagged(f"{OWN_NAME}:latest")]}),
        NAMES_TOO,
    ),
    **_each((125, 134, 136), _PS, ITS_OWN),
    140: (_PS, "the operator sends a model to sleep, when it sees that it is idle"),
    **_each((147, 148), Answer(400, JSON, OLLAMA, says="mode embedding"), ONE_MODE),
    27: (Answer(200, "text/plain", says="Error: PullFailed", headers=QUIET), LATER),
    149: (Answer(200, LINES, lines=(({"status": str}, OLLAMA), OLLAMA)), LATER),
    154: (
        Answer(
            200,
            JSON,
            lines=((_MAKING, success(str)), success(str)),
            says="Using cached model: ",
            headers=QUIET,
        ),
        LOOKED,
    ),
    156: (
        Answer(200, JSON, lines=((_MAKING, success(str)), success(str)), headers=QUIET),
        LAYERLESS,
    ),
    **_each((158, 159), Answer(200, "text/plain", says="Error: PullFailed", headers=QUIET), LATER),
    160: (Answer(200), NOBODY),
    161: (Answer(200, LINES, lines=({"status": str}, {"status": "success"})), LAYERLESS),
}


def at_gateway(row: Row, *, name: str = NAME) -> Row:
    """The row as the gateway is to answer it.

    With `name` it is asked of that model, which has the mode that the row needs.
    """
    if name != NAME:
        renamed = {one: _renamed(getattr(row, one), name) for one in ("body", "theirs", "ours")}
        return replace(row, **renamed)
    if row.number not in DIFFERENT:
        return row
    ours, why = DIFFERENT[row.number]
    return replace(row, ours=ours, why=why)


def _renamed(value: Any, name: str) -> Any:
    if isinstance(value, Answer):
        return replace(value, shape=_renamed(value.shape, name))
    if isinstance(value, dict):
        return {key: _renamed(one, name) for key, one in value.items()}
    if isinstance(value, list):
        return [_renamed(one, name) for one in value]
    return name if value == NAME else value
