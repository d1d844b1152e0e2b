"""What Ollama's clients ask: rows 123 to 151 of the recording."""

from typing import Any, Final

from tests.integration.runnerd_serve_dmr.recorded import JSON, LINES, TEXT, Answer, Row
from tests.integration.runnerd_serve_dmr.rows_server import BARE, NOT_FOUND
from tests.integration.runnerd_serve_dmr.shapes import (
    NAME,
    OLLAMA,
    OUR_DETAILS,
    TAG,
    THEIR_TAG,
    ollama_details,
    ollama_listed,
    ollama_running,
)

SHAPE: Final = 'Ollama\'s clients read {"error": …}'
COUNTERS: Final = "clients read done_reason and the counters of the last line"
_HI: dict[str, Any] = {"messages": [{"role": "user", "content": "Say hi."}]}
_SIX = {"options": {"num_predict": 6}}
_TWO = {"options": {"num_predict": 2}}
_WHOLE: dict[str, Any] = {"model": NAME, **_HI, "stream": False}
_NONE = {"model": "ai/no-such-model"}
_SAID = {"role": "assistant", "content": str}
_TEXT_404 = Answer(404, TEXT, says="model not found")
_OLLAMA_404 = Answer(404, JSON, OLLAMA)
_END = {
    "done": True,
    "done_reason": str,
    **dict.fromkeys(("total_duration", "load_duration", "prompt_eval_count"), int),
    **dict.fromkeys(("prompt_eval_duration", "eval_count", "eval_duration"), int),
}
_PIECE = {"model": NAME, "created_at": str}
_ROW = {"size": int, "size_vram": int, "context_length": int, "details": dict}


def _details() -> dict[str, Any]:
    return ollama_details(**OUR_DETAILS)


def _chat(number: int, body: dict[str, Any]) -> Row:
    """A chat that is answered at once."""
    return Row(
        number,
        "POST",
        "/api/chat",
        Answer(200, JSON, {**_PIECE, "message": _SAID, "done": True}),
        body,
        ours=Answer(200, JSON, {**_PIECE, "message": _SAID, **_END}),
        why=COUNTERS,
    )


def _ps(number: int) -> Row:
    return Row(
        number,
        "GET",
        "/api/ps",
        Answer(200, JSON, {"models": [ollama_running(THEIR_TAG, size=0)]}),
        ours=Answer(200, JSON, {"models": [ollama_running(TAG, **_ROW)]}),
        why=f"{BARE}; sizes are told, and a model once",
    )


def _refused(number: int, path: str, body: Any, theirs: Answer, status: int) -> Row:
    ours = Answer(status, JSON, OLLAMA)
    return Row(number, "POST", path, theirs, body, ours=ours, why=SHAPE)


_THEIR_SHOW = Answer(200, JSON, {"details": ollama_details()})
_SHOW = Answer(
    200,
    JSON,
    {
        **dict.fromkeys(("modelfile", "parameters", "template", "modified_at"), str),
        "details": _details(),
        "model_info": dict,
        "capabilities": [str],
    },
)

OLLAMA_ROWS: Final = (
    Row(123, "GET", "/api/version", Answer(200, JSON, {"version": str})),
    Row(
        124,
        "GET",
        "/api/tags",
        Answer(200, JSON, {"models": [ollama_listed(THEIR_TAG, 0)]}),
        ours=Answer(200, JSON, {"models": [ollama_listed(TAG, int, **OUR_DETAILS)]}),
        why=f"{BARE}; sizes are told",
    ),
    *(
        Row(
            number,
            "POST",
            "/api/show",
            _THEIR_SHOW,
            {member: NAME},
            ours=_SHOW,
            why="ollama-python fails without model_info",
        )
        for number, member in ((126, "model"), (127, "name"))
    ),
    _refused(128, "/api/show", _NONE, _TEXT_404, 404),
    _chat(129, _WHOLE | _SIX),
    _ps(125),
    Row(
        130,
        "POST",
        "/api/chat",
        Answer(
            200,
            JSON,
            lines=(
                {**_PIECE, "message": _SAID, "done": False},
                {**_PIECE, "message": {"role": "", "content": ""}, "done": True},
            ),
        ),
        {"model": NAME, **_HI, **_SIX},
        ours=Answer(
            200,
            LINES,
            lines=(
                {**_PIECE, "message": _SAID, "done": False},
                {**_PIECE, "message": _SAID, **_END},
            ),
        ),
        why=COUNTERS,
    ),
    Row(
        131,
        "POST",
        "/api/generate",
        Answer(200, JSON, {**_PIECE, "response": str, "done": True}),
        {"model": NAME, "prompt": "Say hi.", "stream": False, **_SIX},
        ours=Answer(200, JSON, {**_PIECE, "response": str, **_END}),
        why=COUNTERS,
    ),
    Row(
        132,
        "POST",
        "/api/generate",
        Answer(200, JSON, lines=({**_PIECE, "done": False}, {**_PIECE, "done": True})),
        {"model": NAME, "prompt": "Say hi.", **_SIX},
        ours=Answer(
            200,
            LINES,
            lines=(
                {**_PIECE, "response": str, "done": False},
                {**_PIECE, "response": "", **_END},
            ),
        ),
        why=COUNTERS,
    ),
    _chat(133, _WHOLE | _TWO | {"keep_alive": 300}),
    _ps(134),
    _chat(135, _WHOLE | _TWO | {"keep_alive": -1}),
    _ps(136),
    Row(
        137,
        "POST",
        "/api/chat",
        Answer(200, JSON, {**_PIECE, "message": _SAID, "done": True}),
        _WHOLE | _TWO | {"keep_alive": "soon"},
        ours=Answer(400, JSON, OLLAMA, says="keep"),
        why="Ollama refuses it, too; a wish that is not understood is not dropped in silence",
    ),
    *(
        Row(
            number,
            "POST",
            "/api/generate",
            Answer(200, TEXT, says="{}"),
            {"model": NAME, **more},
            ours=Answer(200, JSON, {**_PIECE, "response": "", "done": True, "done_reason": reason}),
            why="Ollama loads a model so, and unloads it with 0, and says which it did",
        )
        for number, more, reason in (
            (138, {}, "load"),
            (139, {"keep_alive": 0}, "unload"),
        )
    ),
    Row(140, "GET", "/api/ps", Answer(200, JSON, {"models": []})),
    _chat(
        141,
        _WHOLE
        | {
            "options": {"num_predict": 24},
            "format": {
                "type": "object",
                "properties": {"ok": {"type": "boolean"}},
                "required": ["ok"],
                "additionalProperties": False,
            },
        },
    ),
    _refused(142, "/api/chat", _NONE | _HI | {"stream": False}, _TEXT_404, 404),
    _refused(143, "/api/chat", _NONE | _HI, Answer(404, TEXT), 404),
    _refused(144, "/api/generate", _NONE | {"prompt": "x", "stream": False}, _TEXT_404, 404),
    _refused(145, "/api/chat", b"{not json", Answer(400, TEXT, says="Invalid request"), 400),
    Row(
        146,
        "GET",
        "/api/chat",
        Answer(405, TEXT, headers={"Allow": "POST"}),
        ours=Answer(405, JSON, OLLAMA, headers={"Allow": "POST"}),
        why=SHAPE,
    ),
    Row(
        147,
        "POST",
        "/api/embed",
        NOT_FOUND,
        {"model": NAME, "input": "a"},
        ours=Answer(
            200,
            JSON,
            {
                "model": NAME,
                "embeddings": [list],
                **dict.fromkeys(("total_duration", "load_duration", "prompt_eval_count"), int),
            },
        ),
        why="current clients ask for it",
    ),
    Row(
        148,
        "POST",
        "/api/embeddings",
        NOT_FOUND,
        {"model": NAME, "prompt": "a"},
        ours=Answer(200, JSON, {"embedding": [float]}),
        why="older clients ask for it",
    ),
    Row(
        149,
        "POST",
        "/api/pull",
        Answer(500, JSON, OLLAMA),
        {"model": "127.0.0.1:9/ai/none:latest"},
    ),
    Row(
        150,
        "DELETE",
        "/api/delete",
        Answer(500, TEXT, says="model not found"),
        _NONE,
        ours=_OLLAMA_404,
        why="it is not there, and that is nobody's failure",
    ),
    Row(151, "GET", "/api/nope", NOT_FOUND, ours=_OLLAMA_404, why=SHAPE),
)
