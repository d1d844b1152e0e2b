"""Every request of a runner comes in here."""

import logging
import time
from typing import Final

from aiohttp import web

from modelrunner_protocol.codec import to_dict
from modelrunner_protocol.runner import CLOSE_PATH, HELD_PATH, OPEN_PATH, STATUS_PATH
from runnerd.config import Settings
from runnerd.engines import upstream
from runnerd.logs import fields
from runnerd.server import answers
from runnerd.server.closure import Closure
from runnerd.server.control import Control
from runnerd.server.dialects import Rejection, reject
from runnerd.server.intake import Incoming, Intake, loaded
from runnerd.server.kept import Kept
from runnerd.server.naming import model_of
from runnerd.server.one_model import OneModel
from runnerd.server.report import Report
from runnerd.server.routes import (
    Inference,
    clean,
    image_paths,
    inference_routes,
    model_name,
)
from runnerd.server.served import Served
from runnerd.server.shelf import Shelf
from runnerd.server.waiting import Waiting
from runnerd.telemetry.metrics import CONTENT_TYPE

log = logging.getLogger(__name__)

_READY: Final = "/readyz"
# Shorter than the patience of whoever asks, and than a drain.
_LONGEST_HOLD: Final = 10.0
_ENGINE_METRICS_LIMIT: Final = 4 << 20
_UNMANAGED: Final = (
    "this runner serves one model, which is managed elsewhere: nothing can be changed"
)


class Door:
    """Answers one request: probes and lists by itself, inference through the proxy."""

    def __init__(self, settings: Settings, served: Served, *, started_at: float) -> None:
        config = served.config
        self._config = config
        self._served = served
        self._engine = served.engine
        self._gate = served.gate
        self._metrics = served.metrics
        self._checks = served.checks
        self._inference = inference_routes(config.engine)
        self._intake = Intake(settings, served.gate, served.metrics.answered)
        self._images = image_paths(config.engine)
        self._waiting = Waiting(time.monotonic)
        self._closure = Closure(self._gate, self._waiting, clock=time.monotonic, now=time.time)
        self._report = Report(
            served,
            closure=self._closure,
            waiting=self._waiting,
            started_at=started_at,
        )
        self._shelf = Shelf(OneModel(served), _UNMANAGED)
        self._kept = Kept(served.store, config.engine)
        self._own = {
            "/healthz": self._healthz,
            _READY: self._readyz,
            "/metrics": self._render_metrics,
            STATUS_PATH: self._status,
        }
        control = Control(self._closure, self._waiting, self._report.status)
        self._control = {
            CLOSE_PATH: control.close,
            OPEN_PATH: control.open,
            HELD_PATH: control.held,
        }

    def listening(self) -> None:
        """Note that clients can come in from now on."""
        self._report.listening_at = time.time()

    def stopping(self) -> None:
        """Nobody needs to wait for a closed door any more: this runner takes no more requests."""
        self._closure.open()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to any request; an error of ours is a 500 without its insides."""
        try:
            return await self._dispatch(request)
        except (ConnectionError, web.HTTPException):
            raise
        except Exception:
            log.exception("a request failed", extra=fields(path=request.path[:200]))
            text = "the runner failed at this request; its log tells more"
            return answers.rejection(answers.engine_failure(text, 500))

    async def _dispatch(self, request: web.BaseRequest) -> web.StreamResponse:
        path = clean(request.rel_url.raw_path)
        if route := self._inference.get(path):
            if request.method != "POST":
                return answers.wrong_method("POST", route.dialect)
            return await self._intake.answer(request, route, closed=self._shut, inside=self._inside)
        if control := self._control.get(path):
            return (
                await control(request) if request.method == "POST" else answers.wrong_method("POST")
            )
        if path in self._images:
            return answers.no_images() if request.method == "POST" else answers.wrong_method("POST")
        if page := self._kept.answer(request, path) or await self._shelf.answer(request, path):
            return page
        return await self._told(request, path)

    async def _told(self, request: web.BaseRequest, path: str) -> web.Response:
        """What is only read: probes, status, metrics, lists."""
        own = self._own.get(path)
        name = None if own else model_name(path, self._config.engine)
        if own is None and name is None:
            found = reject(404, f"There is nothing at {path[:200]}", code="not_found")
            return answers.rejection(found)
        if request.method not in {"GET", "HEAD"}:
            return answers.wrong_method("GET, HEAD")
        if path == _READY:
            await self._hold(request)
        return await own() if own else self._models(name or "")

    def _shut(self, route: Inference) -> web.Response | None:
        """Why nothing is let in now; None: come in."""
        dialect = route.dialect
        if self._engine.draining or self._closure.closed:
            stopping = self._engine.draining
            self._metrics.turned_away(stopping=stopping)
            return (
                answers.unavailable(self._engine, dialect) if stopping else answers.closed(dialect)
            )
        if not self._engine.ready:
            return answers.unavailable(self._engine, dialect)
        wrong = self._checks.wrong_mode(route)
        return answers.rejection(wrong, dialect) if wrong else None

    async def _inside(self, came: Incoming) -> web.StreamResponse:
        if came.preload:
            return self._preloaded(came)
        return await self._served.answer(
            came.request, came.route, came.raw, came.number, arrived=came.arrived
        )

    def _preloaded(self, came: Incoming) -> web.Response:
        """The model of a runner is loaded: what can be wrong is the name."""
        route = came.route
        name = model_of(came.raw, older=route.kind is not None)
        meant = self._checks.is_meant(came.request.headers)
        if isinstance(name, str) and name and not (meant or self._checks.knows(name)):
            name = self._checks.unknown_model(name)
        return answers.rejection(name, route.dialect) if isinstance(name, Rejection) else loaded()

    def _models(self, name: str) -> web.Response:
        model = {
            "id": self._config.model,
            "object": "model",
            "created": int(self._report.started_at),
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
        """Let `?wait=SECONDS` wait for an engine on its way, or for a door that will open.

        A probe that comes once a second would else see it a second late.
        """
        try:
            seconds = float(request.query.get("wait", "0"))
        except ValueError:
            return
        if 0 < seconds <= _LONGEST_HOLD:
            await self._report.arrived(seconds)

    async def _readyz(self) -> web.Response:
        return answers.json_answer(200 if self._report.ready else 503, self._report.readiness())

    async def _status(self) -> web.Response:
        return answers.json_answer(200, to_dict(self._report.status()))

    async def _render_metrics(self) -> web.Response:
        engine = None
        if self._engine.ready:
            engine = await upstream.metrics(self._served.session, _ENGINE_METRICS_LIMIT)
        text = self._metrics.render(
            ready=self._report.ready,
            closed=self._closure.closed,
            in_flight=self._gate.in_flight,
            waiting=self._gate.waiting,
            held=self._waiting.total,
            engine=engine,
        )
        headers = {"Content-Type": CONTENT_TYPE, "Server": answers.SERVER}
        return web.Response(body=text.encode(), headers=headers)
