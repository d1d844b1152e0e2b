"""Pulls from a registry: rows 152 to 163 of the recording. `<registry>` is its address."""

from typing import Final

from tests.integration.runnerd_serve_dmr.recorded import JSON, LINES, TEXT, Answer, Row
from tests.integration.runnerd_serve_dmr.rows_server import SENTENCE
from tests.integration.runnerd_serve_dmr.shapes import PROGRESS, success

CREATE: Final = "/models/create"
FROM: Final = {"from": "<registry>/ai/smollm2:alt"}
MODEL: Final = "/models/<registry>/ai/smollm2:alt"
PULL: Final = {"model": "<registry>/ai/smollm2:alt"}
AS_JSON: Final = {"Accept": JSON}
QUIET: Final = {"Cache-Control": "no-cache"}
PULLED: Final = success("Model pulled successfully")
_CACHED = "Using cached model: "
_REMOVED = Answer(200, JSON, [{"Untagged": str}, {"Deleted": str}])
_PULLING = {"status": str, "digest": str, "total": int, "completed": int}
_DONE = {"status": "success"}

PULLS: Final = (
    Row(152, "POST", CREATE, Answer(200, "text/plain", says="&#34;", headers=QUIET), FROM),
    Row(153, "POST", CREATE, Answer(200, "text/plain", says=_CACHED, headers=QUIET), FROM),
    Row(
        154,
        "POST",
        CREATE,
        Answer(200, JSON, success(str), says=_CACHED, headers=QUIET),
        FROM,
        headers=AS_JSON,
    ),
    Row(155, "DELETE", MODEL, _REMOVED),
    Row(
        156,
        "POST",
        CREATE,
        Answer(200, JSON, lines=(PROGRESS, PULLED), headers=QUIET),
        FROM,
        headers=AS_JSON,
    ),
    Row(
        157,
        "POST",
        CREATE,
        Answer(200, "text/plain", says=_CACHED),
        FROM,
        headers={"Accept": "text/event-stream"},
    ),
    *(
        Row(
            number,
            "POST",
            CREATE,
            Answer(404, TEXT, says="Model not found"),
            {"from": f"<registry>/{name}:{tag}"},
            ours=Answer(404, TEXT, says=f"has no {name} with the tag {tag}: correct the name"),
            why=SENTENCE,
        )
        for number, name, tag in ((158, "ai/smollm2", "none"), (159, "ai/none", "latest"))
    ),
    Row(160, "DELETE", "/api/delete", Answer(200, JSON, {}), PULL),
    Row(161, "POST", "/api/pull", Answer(200, LINES, lines=(_PULLING, _DONE)), PULL),
    Row(
        162,
        "POST",
        "/api/pull",
        Answer(200, LINES, _DONE),
        PULL | {"stream": False},
        ours=Answer(200, JSON, _DONE),
        why="without a stream there is one answer",
    ),
    Row(163, "DELETE", f"{MODEL}?force=true", _REMOVED),
)
