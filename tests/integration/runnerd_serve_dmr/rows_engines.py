"""What runs and how it is to run: rows 046 to 074, 106 to 108 of the recording."""

from typing import Final

from tests.integration.runnerd_serve_dmr.recorded import JSON, TEXT, Answer, Row
from tests.integration.runnerd_serve_dmr.rows_server import BARE, METHODS, SENTENCE
from tests.integration.runnerd_serve_dmr.shapes import NAME, TAG, THEIR_TAG, configured, row

INVALID: Final = Answer(400, TEXT, says="invalid request")
CONFIGURE: Final = "/engines/_configure"
BY_MODEL: Final = f"{CONFIGURE}?model=ai/smollm2"
ACCEPTED: Final = Answer(202)
UNLOAD: Final = "/engines/unload"
TIMES: Final = "how long it stays is always told, also where it is the default"
NOWHERE: Final = "nothing would come of it: there is nothing to keep it for"
OURS_TO_BLAME: Final = "a flag that may not be set is the client's error, not the server's"
LOADING: Final = {"loading?": True, "in_use?": True}
_FLAGS = ["--temp", "0.2"]
_WHOLE = {"context-size": 2048, "runtime-flags": _FLAGS}


def _unloaded(count: int) -> Answer:
    return Answer(200, JSON, {"unloaded_runners": count})


def _says(number: int, body: object, says: str) -> Row:
    ours = Answer(400, TEXT, says=says)
    return Row(number, "POST", CONFIGURE, INVALID, body, ours=ours, why=SENTENCE)


ENGINES: Final = (
    Row(
        46,
        "GET",
        "/engines/status",
        Answer(200, JSON, {"diffusers": str, "llama.cpp": str, "mlx": str, "sglang": str}),
        ours=Answer(
            200,
            JSON,
            {"diffusers": str, "llama.cpp": "Running: llama.cpp", "mlx": str, "sglang": str}
            | {"vllm": str},
        ),
        why="the recorded server was built without vLLM",
    ),
    Row(
        47,
        "GET",
        "/engines/df",
        Answer(200, JSON, {"models_disk_usage": int, "default_backend_disk_usage": int}),
    ),
    Row(68, "POST", UNLOAD, Answer(200, JSON, {"unloaded_runners": int}), {"all": True}),
    Row(
        73,
        "POST",
        "/engines/v1/chat/completions",
        Answer(200),
        {"model": NAME},
        headers={"X-Preload-Only": "true"},
    ),
    Row(
        48,
        "GET",
        "/engines/ps",
        Answer(200, JSON, [row()]),
        ours=Answer(200, JSON, [row(keep_alive="5m0s")]),
        why=TIMES,
    ),
    Row(
        49,
        "GET",
        BY_MODEL,
        Answer(200, JSON, configured(THEIR_TAG, {})),
        ours=Answer(200, JSON, []),
        why="what was never configured is not told",
    ),
    Row(
        50,
        "POST",
        CONFIGURE,
        ACCEPTED,
        {"model": NAME, "context-size": 2048, "keep_alive": "10m", "runtime-flags": _FLAGS},
    ),
    *(
        Row(
            number,
            "GET",
            path,
            Answer(200, JSON, configured(THEIR_TAG, {**_WHOLE, "keep_alive": "10m0s"})),
            ours=Answer(200, JSON, configured(TAG, {**_WHOLE, "keep_alive": "10m0s"})),
            why=BARE,
        )
        for number, path in ((51, BY_MODEL), (52, CONFIGURE))
    ),
    # The preload of 50 is still at work, as it was there.
    Row(
        53,
        "GET",
        "/engines/ps",
        Answer(200, JSON, [row(keep_alive="10m0s") | LOADING]),
        # The former engine goes at once; what the next one needs is looked up first.
        soon=True,
    ),
    Row(
        54,
        "POST",
        "/engines/llama.cpp/_configure",
        ACCEPTED,
        {"model": NAME, "context-size": 2048, "keep_alive": "-1"},
    ),
    Row(
        55,
        "GET",
        "/engines/ps",
        Answer(200, JSON, [row(keep_alive="-1") | LOADING]),
    ),
    Row(
        56,
        "POST",
        "/engines/bogus/_configure",
        Answer(404, TEXT, says="backend not found"),
        {"model": NAME},
    ),
    Row(
        57,
        "POST",
        CONFIGURE,
        ACCEPTED,
        {"model": "ai/no-such-model"},
        ours=Answer(404, TEXT, says="model not found: pull it first"),
        why=NOWHERE,
    ),
    Row(58, "POST", CONFIGURE, INVALID, b"{not json"),
    _says(59, {"model": NAME, "mode": "dance"}, "mode must be one of"),
    _says(60, {"model": NAME, "keep_alive": "soon"}, "'soon' is not a keep-alive"),
    _says(61, {"model": NAME, "keep_alive": 300}, "keep_alive must be a string"),
    Row(
        62,
        "POST",
        CONFIGURE,
        Answer(500, TEXT, says='runtime flag "--log-file" is not allowed for backend "llama.cpp"'),
        {"model": NAME, "runtime-flags": ["--log-file", "x"]},
        ours=Answer(
            400, TEXT, says='runtime flag "--log-file" is not allowed for backend "llama.cpp"'
        ),
        why=OURS_TO_BLAME,
    ),
    Row(
        63,
        "POST",
        CONFIGURE,
        Answer(500, TEXT, says="paths are not allowed"),
        {"model": NAME, "runtime-flags": ["--temp=/etc/passwd"]},
        ours=Answer(400, TEXT, says="flags may not name files"),
        why=OURS_TO_BLAME,
    ),
    Row(
        64,
        "POST",
        CONFIGURE,
        ACCEPTED,
        {},
        ours=Answer(400, TEXT, says="model is required"),
        why=NOWHERE,
    ),
    Row(
        65,
        "GET",
        "/engines/requests?model=ai/smollm2",
        Answer(
            200,
            JSON,
            [
                {
                    "count": int,
                    "model": str,
                    "config": {"context-size": 2048, "keep_alive": "-1"},
                    "records": list,
                }
            ],
        ),
        ours=Answer(
            200,
            JSON,
            [
                {
                    "count": int,
                    "model": str,
                    "config": {**_WHOLE, "keep_alive": "-1"},
                    "records": list,
                }
            ],
        ),
        why="what is said in addition takes nothing away: the flags of row 50 are still valid",
    ),
    *(
        Row(
            number, "POST", UNLOAD, Answer(200, JSON, {"unloaded_runners": int}), {"models": [NAME]}
        )
        for number in (66, 67)
    ),
    Row(69, "POST", UNLOAD, INVALID, b"{not json"),
    Row(70, "POST", UNLOAD, _unloaded(0), {"models": ["ai/no-such-model"]}),
    Row(
        71,
        "GET",
        UNLOAD,
        Answer(404, TEXT, says="not found"),
        ours=Answer(405, TEXT, headers={"Allow": "POST"}),
        why=METHODS,
    ),
    Row(
        72,
        "POST",
        "/engines/_unload",
        Answer(404, TEXT, says="not found"),
        {"model": NAME},
        ours=Answer(200, JSON, {"unloaded_runners": int}),
        why="docker-agent asks for it",
    ),
    Row(
        74,
        "GET",
        "/engines/ps",
        Answer(200, JSON, [row()]),
        ours=Answer(200, JSON, (list, [row(keep_alive="-1") | LOADING])),
        why="a preload that is still at work is told, and how long the model stays",
    ),
)

_RECORD = {
    **dict.fromkeys(("id", "model", "method", "url", "request"), str),
    **dict.fromkeys(("timestamp", "status_code"), int),
    **dict.fromkeys(("response?", "error?", "user_agent?", "origin?"), str),
}
_ENTRY = {"count": int, "model": str, "config": dict, "records": [_RECORD]}

USED: Final = (
    Row(
        106,
        "GET",
        "/engines/ps",
        Answer(200, JSON, [row("reranking"), row()]),
        ours=Answer(200, JSON, [row(str, keep_alive=str), row(str, keep_alive=str)]),
        why=TIMES,
    ),
    Row(
        107,
        "GET",
        "/metrics",
        Answer(200, "text/plain; version=0.0.4; charset=utf-8", says="# No active runners"),
        ours=Answer(
            200,
            "text/plain; version=0.0.4; charset=utf-8",
            says="llamacpp:",
        ),
        why="there are active runners, and the server has metrics of its own",
        # An engine that takes too long to tell is left out.
        soon=True,
    ),
    Row(
        108,
        "GET",
        "/engines/requests?model=ai/smollm2",
        Answer(200, JSON, [_ENTRY]),
    ),
)
