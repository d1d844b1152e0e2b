"""The server itself, its models and their lists: rows 001 to 045 of the recording."""

from typing import Any, Final

from tests.integration.runnerd_serve_dmr.recorded import JSON, TEXT, Answer, Row
from tests.integration.runnerd_serve_dmr.shapes import (
    NAME,
    OPENAI,
    TAG,
    THEIR_TAG,
    listed,
    openai_model,
)

NOT_FOUND: Final = Answer(404, TEXT, says="404 page not found")
BARE: Final = "a tag is told without Docker Hub's domain: docker-agent compares it letter by letter"
SDKS: Final = "OpenAI's SDKs read an error as JSON"
METHODS: Final = "a wrong method is 405 with Allow, not 404"
SENTENCE: Final = "the sentence says what to do"
ALLOWED: Final = {"Access-Control-Allow-Credentials": "true"}
DENIED: Final = Answer(403, TEXT, says="Origin not allowed")


def _page(path: str, **headers: str) -> dict[str, Any]:
    return {"method": "OPTIONS", "path": path, "headers": headers}


def _lists(name: str) -> Answer:
    return Answer(200, JSON, {"object": "list", "data": [openai_model(name)]})


SERVER: Final = (
    Row(
        1,
        "GET",
        "/",
        Answer(200, TEXT, says="Docker Model Runner is running"),
        ours=Answer(200, TEXT, says="Ollama is running"),
        why="Ollama's clients look for their own sentence here",
    ),
    Row(2, "HEAD", "/", Answer(200, TEXT)),
    Row(3, "GET", "/version", Answer(200, JSON, {"version": str})),
    Row(
        4,
        "GET",
        "/health",
        NOT_FOUND,
        ours=Answer(200, JSON, {"status": "ok"}),
        why="clients of llama-server and vLLM ask there",
    ),
    Row(5, "GET", "/nope", NOT_FOUND, ours=Answer(404, JSON, OPENAI), why=SDKS),
    Row(
        6,
        "GET",
        "/engines/nope",
        Answer(404, TEXT, says="not found"),
        ours=Answer(404, TEXT, says="There is nothing at /engines/nope"),
        why=SENTENCE,
    ),
    Row(
        7,
        "POST",
        "/models",
        Answer(307, headers={"Location": "/models/"}),
        {},
        ours=Answer(405, TEXT, headers={"Allow": "GET, HEAD"}),
        why=METHODS,
    ),
    Row(
        8,
        theirs=Answer(
            204,
            headers=ALLOWED
            | {
                "Access-Control-Allow-Headers": "*",
                "Access-Control-Allow-Methods": "GET, POST, DELETE",
                "Access-Control-Allow-Origin": "http://localhost",
            },
        ),
        **_page(
            "/engines/v1/chat/completions",
            Origin="http://localhost",
            **{"Access-Control-Request-Method": "POST"},
        ),
    ),
    Row(
        9,
        theirs=DENIED,
        ours=Answer(204, headers={"Access-Control-Allow-Origin": "http://localhost:3000"}),
        why="the default list says http://localhost:*, and here that means any port",
        **_page("/engines/v1/chat/completions", Origin="http://localhost:3000"),
    ),
    Row(10, theirs=DENIED, **_page("/engines/v1/chat/completions", Origin="https://evil.example")),
    Row(
        11,
        theirs=Answer(404, TEXT),
        ours=Answer(405, JSON, OPENAI, headers={"Allow": "GET, HEAD"}),
        why=METHODS,
        **_page("/engines/v1/models"),
    ),
    Row(12, "GET", "/engines/v1/models", DENIED, headers={"Origin": "https://evil.example"}),
    Row(
        13,
        "GET",
        "/engines/v1/models",
        Answer(200, JSON, headers={"Access-Control-Allow-Origin": "http://localhost"}),
        headers={"Origin": "http://localhost"},
    ),
    Row(
        14,
        "GET",
        "/engines/v1/models",
        Answer(200, JSON, headers={"Access-Control-Allow-Origin": None}),
        headers={"Host": "evil.example"},
    ),
)

_THEIR_MODEL = Answer(200, JSON, listed(THEIR_TAG, theirs=True))
_MODEL = Answer(200, JSON, listed(TAG))
_TAGGED = Answer(200, JSON, listed(TAG, "local/copy:v1"))

MODELS: Final = (
    Row(
        15,
        "GET",
        "/models",
        Answer(200, JSON, [listed(THEIR_TAG, theirs=True)]),
        ours=Answer(200, JSON, [listed(TAG)]),
        why=BARE,
    ),
    *(
        Row(number, "GET", f"/models/{name}", _THEIR_MODEL, ours=_MODEL, why=BARE)
        for number, name in (
            (16, NAME),
            (17, TAG),
            (18, "docker.io/ai/smollm2"),
            (19, "ai%2Fsmollm2"),
            (20, "smollm2"),
            (21, "AI/SMOLLM2"),
        )
    ),
    Row(22, "GET", "/models/ai/no-such-model", Answer(404, TEXT, says="model not found")),
    Row(23, "DELETE", "/models/ai/no-such-model", Answer(404, TEXT, says="model not found")),
    Row(24, "POST", "/models/create", Answer(400, TEXT, says="invalid request body"), b"{not json"),
    Row(
        25,
        "POST",
        "/models/create",
        Answer(400, TEXT, says="Invalid model reference"),
        {},
        ours=Answer(400, TEXT, says="from is required"),
        why=SENTENCE,
    ),
    Row(
        26,
        "POST",
        "/models/create",
        Answer(400, TEXT, says="Invalid model reference"),
        {"from": "UPPER:::bad ref"},
        ours=Answer(400, TEXT, says="is no reference: write registry/repository:tag"),
        why=SENTENCE,
    ),
    Row(
        27,
        "POST",
        "/models/create",
        Answer(500, TEXT, says="127.0.0.1:9"),
        {"from": "127.0.0.1:9/ai/none:latest"},
    ),
    Row(
        28,
        "GET",
        "/models/create",
        Answer(404, TEXT, says="model not found"),
        ours=Answer(405, TEXT, headers={"Allow": "POST"}),
        why=METHODS,
    ),
    Row(
        29,
        "POST",
        "/models/ai/smollm2/tag?repo=local/copy&tag=v1",
        Answer(
            201,
            JSON,
            {
                "message": 'Model tagged successfully with "local/copy:v1"',
                "target": "local/copy:v1",
            },
        ),
    ),
    Row(
        30,
        "POST",
        "/models/ai/smollm2/tag",
        Answer(400, TEXT, says="missing repo or tag query parameter"),
    ),
    Row(
        31,
        "GET",
        "/models/local/copy:v1",
        Answer(200, JSON, listed(THEIR_TAG, "docker.io/local/copy:v1", theirs=True)),
        ours=_TAGGED,
        why=BARE,
    ),
    Row(
        32,
        "DELETE",
        "/models/local/copy:v1",
        Answer(200, JSON, [{"Untagged": "docker.io/local/copy:v1"}]),
        ours=Answer(200, JSON, [{"Untagged": "local/copy:v1"}]),
        why=BARE,
    ),
    Row(
        33,
        "POST",
        "/models/ai/smollm2/frobnicate",
        Answer(404, TEXT, says='unknown action "frobnicate"'),
        {},
    ),
    *(
        Row(number, "GET", path, _lists(THEIR_TAG), ours=_lists(TAG), why=BARE)
        for number, path in (
            (34, "/engines/v1/models"),
            (35, "/engines/llama.cpp/v1/models"),
            (38, "/v1/models"),
            (40, "//engines//v1/models"),
        )
    ),
    Row(
        36,
        "GET",
        "/engines/vllm/v1/models",
        _lists(THEIR_TAG),
        ours=Answer(200, JSON, {"object": "list", "data": []}),
        why="a backend lists what it can run",
    ),
    Row(
        37,
        "GET",
        "/engines/bogus/v1/models",
        _lists(THEIR_TAG),
        ours=Answer(404, JSON, OPENAI),
        why="a backend that nobody knows is an error on every route",
    ),
    Row(39, "HEAD", "/v1/models", Answer(200, JSON)),
    Row(
        41,
        "GET",
        "/v1/models/",
        Answer(404, TEXT),
        ours=_lists(TAG),
        why="a base URL that ends with a slash is a habit, and means the list",
    ),
    *(
        Row(
            number,
            "GET",
            f"/engines/v1/models/{name}",
            Answer(200, JSON, openai_model(THEIR_TAG)),
            ours=Answer(200, JSON, openai_model(TAG)),
            why=BARE,
        )
        for number, name in ((42, NAME), (43, "ai%2Fsmollm2"))
    ),
    Row(
        44,
        "GET",
        "/engines/v1/models/ai/no-such-model",
        Answer(404, TEXT, says="model not found"),
        ours=Answer(404, JSON, OPENAI),
        why=SDKS,
    ),
    Row(
        45,
        "DELETE",
        "/engines/v1/models",
        Answer(404, TEXT),
        ours=Answer(405, JSON, OPENAI, headers={"Allow": "GET, HEAD"}),
        why=METHODS,
    ),
)
