"""Answers that runnerd gives itself."""

import json
from typing import Any, Final

from aiohttp import web

from modelrunner_protocol.errors import openai_error
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import RunnerState
from runnerd.engines.supervisor import Supervisor
from runnerd.server.checks import Rejection

SERVER: Final = "runnerd"
"""Instead of the versions that aiohttp would tell."""

DRAINING_HEADER: Final = "X-Runner-Draining"
_RETRY_SECONDS: Final = {
    RunnerState.LOADING: 2,
    RunnerState.WARMING: 1,
    RunnerState.RESTARTING: 5,
    RunnerState.FAILED: 60,
    RunnerState.DRAINING: 1,
}
_STATES: Final = {
    RunnerState.LOADING: "the model is being loaded",
    RunnerState.WARMING: "the model is being warmed up",
    RunnerState.RESTARTING: "the engine is being restarted",
    RunnerState.FAILED: "the engine failed",
    RunnerState.DRAINING: "this runner is stopping: ask another one",
}


def json_answer(status: int, body: Any, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    return web.Response(
        status=status,
        body=json.dumps(body, ensure_ascii=False).encode(),
        content_type="application/json",
        headers={"Server": SERVER, **(headers or {})},
    )


def rejection(found: Rejection) -> web.Response:
    """The answer to a request that is wrong."""
    return json_answer(found.status, found.body)


def unavailable(engine: Supervisor) -> web.Response:
    """503: why the model does not answer now, and when to ask again."""
    state = engine.state
    reason, message = standing(engine)
    text = _STATES.get(state, "the engine is not ready")
    error = openai_error(
        f"{text}: {message}" if message else text, kind="server_error", code=reason.value
    )
    answer = json_answer(503, error, {"Retry-After": str(_RETRY_SECONDS.get(state, 1))})
    if state is RunnerState.DRAINING:
        answer.headers[DRAINING_HEADER] = "true"
        answer.force_close()
    return answer


def busy(what: str) -> web.Response:
    """429: too much at once."""
    error = openai_error(f"{what}: try again", kind="rate_limit_error", code="queue_full")
    return json_answer(429, error, {"Retry-After": "1"})


def engine_error(message: str) -> dict[str, Any]:
    """OpenAI's error object for an engine that failed under a request."""
    return openai_error(message, kind="server_error", code="engine_failed")


def standing(engine: Supervisor) -> tuple[Reason, str]:
    """The reason and message of a state that is not ready."""
    if engine.draining:
        return Reason.TERMINATING, ""
    if engine.failure:
        return engine.failure.reason, engine.failure.message
    return Reason.READY if engine.ready else Reason.STARTING, ""
