"""Every request of a runner comes in here."""

import logging
import os
import re
import time
from typing import Final

from aiohttp import web

from modelrunner_protocol.codec import to_dict
from modelrunner_protocol.wire import STATUS_PATH, RunConfig, RunnerStatus
from runnerd.config import Settings
from runnerd.engines import upstream
from runnerd.engines.supervisor import Supervisor
from runnerd.logs import fields
from runnerd.server import answers
from runnerd.server.body import Body
from runnerd.server.checks import Checks, Rejection, reject
from runnerd.server.gate import Gate
from runnerd.server.proxy import Proxy
from runnerd.server.routes import Inference, clean, inference_routes, model_name
from runnerd.telemetry.metrics import CONTENT_TYPE, Metrics

log = logging.getLogger(__name__)

_REQUEST_ID: Final = re.compile(r"[!-~]{1,128}")
_READY: Final = "/readyz"
# Shorter than the patience of whoever asks, and than a drain.
_LONGEST_HOLD: Final = 10.0
_ENGINE_METRICS_LIMIT: Final = 4 << 20


class Door:
    """Answers one request: probes and lists by itself, inference through the proxy."""

    def __init__(
        self,
        config: RunConfig,
        settings: Settings,
        *,
        engine: Supervisor,
        gate: Gate,
        proxy: Proxy,
        metrics: Metrics,
        started_at: float,
    ) -> None:
        self._config = config
        self._settings = settings
        self._engine = engine
        self._gate = gate
        self._proxy = proxy
        self._metrics = metrics
        self._started_at = started_at
        self._checks = Checks(config)
        self._inference = inference_routes(config.engine)
        self.listening_at: float | None = None
        self._own = {
            "/healthz": self._healthz,
            _READY: self._readyz,
            "/metrics": self._render_metrics,
            STATUS_PATH: self._status,
        }

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to any request; an error of ours is a 500 without its insides."""
        try:
            return await self._dispatch(request)
        except (ConnectionError, web.HTTPException):
            raise
        except Exception:
            log.exception("a request failed", extra=fields(path=request.path[:200]))
            error = answers.engine_error("the runner failed at this request; its log tells more")
            return answers.json_answer(500, error)

    async def _dispatch(self, request: web.BaseRequest) -> web.StreamResponse:
        path = clean(request.rel_url.raw_path)
        if route := self._inference.get(path):
            if request.method != "POST":
                return _wrong_method("POST")
            return await self._measured(request, route)
        if own := self._own.get(path):
            if path == _READY:
                await self._hold(request)
            return await own() if request.method in {"GET", "HEAD"} else _wrong_method("GET, HEAD")
        name = model_name(path, self._config.engine)
        if name is None:
            found = reject(404, f"There is nothing at {path[:200]}", code="not_found")
            return answers.rejection(found)
        if request.method not in {"GET", "HEAD"}:
            return _wrong_method("GET, HEAD")
        return self._models(name)

    async def _measured(self, request: web.BaseRequest, route: Inference) -> web.StreamResponse:
        began, status = time.monotonic(), 499
        given = request.headers.get("X-Request-Id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else os.urandom(12).hex()
        try:
            response = await self._admitted(request, route, request_id)
            status = response.status
        finally:
            # A client that leaves cancels this task, or makes a write fail: that is the 499.
            seconds = time.monotonic() - began
            self._metrics.answered(route.name, status, seconds)
            if log.isEnabledFor(logging.DEBUG):
                told = fields(route=route.name, status=status, seconds=seconds, id=request_id)
                log.debug("request", extra=told)
        if not response.prepared:
            response.headers["X-Request-Id"] = request_id
        return response

    async def _admitted(
        self, request: web.BaseRequest, route: Inference, request_id: str
    ) -> web.StreamResponse:
        if self._engine.draining or not self._engine.ready:
            return answers.unavailable(self._engine)
        if wrong := self._checks.wrong_mode(route):
            return answers.rejection(wrong)
        if not self._gate.enter():
            return answers.busy(f"{self._settings.max_in_flight} requests are waiting already")
        body = Body(request, self._gate)
        try:
            raw = await self._read(body, route)
            if isinstance(raw, web.Response):
                return raw
            await self._gate.turn()
            try:
                return await self._proxy.forward(request, route, raw, request_id)
            finally:
                self._gate.done()
        finally:
            self._gate.leave(body.size)

    async def _read(self, body: Body, route: Inference) -> bytes | web.Response:
        """A body that the engine may see, or the answer to one that it may not."""
        limits = self._settings
        raw = await body.read(limit=limits.max_body, timeout=limits.body_timeout)
        if body.crowded:
            return answers.busy("the requests that are waiting hold too much memory")
        if isinstance(raw, Rejection):
            return answers.rejection(raw)
        wrong = self._checks.body(route, raw)
        return answers.rejection(wrong) if wrong else raw

    def _models(self, name: str) -> web.Response:
        model = {
            "id": self._config.model,
            "object": "model",
            "created": int(self._started_at),
            "owned_by": "model-runner",
        }
        if not name:
            return answers.json_answer(200, {"object": "list", "data": [model]})
        if not self._checks.knows(name):
            return answers.rejection(self._checks.unknown_model(name))
        return answers.json_answer(200, model)

    async def _healthz(self) -> web.Response:
        return web.Response(text="ok\n", headers={"Server": answers.SERVER})

    async def _hold(self, request: web.BaseRequest) -> None:
        """Let `?wait=SECONDS` wait for an engine that is on its way.

        A probe that comes once a second would else see it a second late.
        """
        try:
            seconds = float(request.query.get("wait", "0"))
        except ValueError:
            return
        if 0 < seconds <= _LONGEST_HOLD:
            await self._engine.arrived(seconds)

    async def _readyz(self) -> web.Response:
        ready = self._engine.ready and not self._engine.draining
        reason, message = answers.standing(self._engine)
        found = {"state": self._engine.state.value, "reason": reason.value, "message": message}
        return answers.json_answer(200 if ready else 503, found)

    async def _status(self) -> web.Response:
        engine = self._engine
        failure = engine.failure
        status = RunnerStatus(
            state=engine.state,
            started_at=self._started_at,
            listening_at=self.listening_at,
            engine_ready_at=engine.engine_ready_at,
            warmed_at=engine.warmed_at,
            reason=failure.reason if failure else None,
            message=failure.message if failure else "",
            restarts=engine.restarts,
            in_flight=self._gate.in_flight,
            last_used_at=self._gate.last_used_at,
        )
        return answers.json_answer(200, to_dict(status))

    async def _render_metrics(self) -> web.Response:
        engine = None
        if self._engine.ready:
            engine = await upstream.metrics(self._proxy.session, _ENGINE_METRICS_LIMIT)
        text = self._metrics.render(
            ready=self._engine.ready and not self._engine.draining,
            in_flight=self._gate.in_flight,
            waiting=self._gate.waiting,
            engine=engine,
        )
        headers = {"Content-Type": CONTENT_TYPE, "Server": answers.SERVER}
        return web.Response(body=text.encode(), headers=headers)


def _wrong_method(allowed: str) -> web.Response:
    found = reject(405, f"Use {allowed}", code="method_not_allowed")
    return answers.json_answer(found.status, found.body, {"Allow": allowed})
