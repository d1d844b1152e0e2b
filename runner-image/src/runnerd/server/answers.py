"""Answers that runnerd gives itself."""

import json
from typing import Any, Final

from aiohttp import web

from modelrunner_protocol.dmr import TEXT
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.runner import DRAINING_HEADER, RunnerState
from runnerd.engines.supervisor import Supervisor
from runnerd.server.dialects import SERVER_ERROR, Dialect, Rejection, error_body, reject

SERVER: Final = "runnerd"
"""Instead of the versions that aiohttp would tell."""

CLOSED: Final = "Draining"
"""The word for programs of a closed door."""

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
        # What a client sent may come back in an error, also half a character.
        body=json.dumps(body, ensure_ascii=False).encode(errors="replace"),
        content_type="application/json",
        headers={"Server": SERVER, **(headers or {})},
    )


def text_answer(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """A line of text."""
    usual = {"Server": SERVER, "Content-Type": TEXT, "X-Content-Type-Options": "nosniff"}
    return web.Response(
        status=status,
        body=f"{message}\n".encode(errors="replace"),
        headers=usual | (headers or {}),
    )


def rejection(
    found: Rejection, dialect: Dialect = Dialect.OPENAI, headers: dict[str, str] | None = None
) -> web.Response:
    """The answer to a request that is wrong, or that cannot be done."""
    if dialect is Dialect.DOCKER:
        return text_answer(found.status, found.message, headers)
    return json_answer(found.status, error_body(dialect, found), headers)


def unavailable(engine: Supervisor, dialect: Dialect, *, untouched: bool = True) -> web.Response:
    """503: why the model does not answer now, and when to ask again.

    `untouched`: the engine has seen nothing of the request, so it may be sent elsewhere, or here
    again. After one that the engine died of, it may not: the next engine would die of it, too.
    """
    state = engine.state
    reason, message = standing(engine)
    text = _STATES.get(state, "the engine is not ready")
    found = Rejection(503, f"{text}: {message}" if message else text, SERVER_ERROR, reason.value)
    headers = {"Retry-After": str(_RETRY_SECONDS.get(state, 1))}
    if untouched and state is not RunnerState.FAILED:
        headers[DRAINING_HEADER] = "true"
    answer = rejection(found, dialect, headers)
    if state is RunnerState.DRAINING:
        answer.force_close()
    return answer


def closed(dialect: Dialect) -> web.Response:
    """503: the door is closed for a while. The connection stays, since it opens again."""
    found = Rejection(503, "this runner takes no new requests now", SERVER_ERROR, CLOSED)
    return rejection(found, dialect, {"Retry-After": "1", DRAINING_HEADER: "true"})


def busy(what: str, dialect: Dialect) -> web.Response:
    """429: too much at once."""
    found = Rejection(429, f"{what}: try again", "rate_limit_error", "queue_full")
    return rejection(found, dialect, {"Retry-After": "1"})


def wrong_method(allowed: str, dialect: Dialect = Dialect.OPENAI) -> web.Response:
    """405; `allowed` is the value of the header Allow."""
    found = reject(405, f"Use {allowed}", code="method_not_allowed")
    return rejection(found, dialect, {"Allow": allowed})


def no_images() -> web.Response:
    """501: nobody here makes pictures."""
    text = "no engine here makes images: this is a model of text"
    return rejection(reject(501, text, code="unsupported_route"))


def engine_failure(message: str, status: int = 502) -> Rejection:
    """An engine that failed under a request."""
    return Rejection(status, message, SERVER_ERROR, "engine_failed")


def standing(engine: Supervisor) -> tuple[Reason, str]:
    """The reason and message of a state that is not ready."""
    if engine.draining:
        return Reason.TERMINATING, ""
    if engine.failure:
        return engine.failure.reason, engine.failure.message
    return Reason.READY if engine.ready else Reason.STARTING, ""
