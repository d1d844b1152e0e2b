"""What models are asked: from a request's body to the engine that answers it."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from aiohttp import web

from modelrunner_protocol.configure import BACKENDS, LLAMA_CPP, VLLM, ConfigureError, backend_of
from modelrunner_protocol.ollama import unknown_model
from modelrunner_protocol.wire import Mode, RunConfig
from runnerd.ollama.asked import Kind, asked
from runnerd.ollama.members import AskedWronglyError, decoded
from runnerd.server import answers
from runnerd.server.checks import Checks
from runnerd.server.dialects import SERVER_ERROR, Dialect, Rejection, reject
from runnerd.server.intake import Incoming, Intake, loaded
from runnerd.server.naming import model_of, with_model
from runnerd.server.ranker import ranking_of
from runnerd.server.responding import wrong
from runnerd.server.routes import Inference, image_paths, inference_routes
from runnerd.server.translation import Translator
from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.catalogue.stored import Stored
from runnerd.standalone.lists import unknown, unknown_backend
from runnerd.standalone.management.recorder import Recorder
from runnerd.standalone.pages import RefusedError
from runnerd.standalone.pool import Key, Pool

_T = TypeVar("_T")

_BACKEND: Final = re.compile(r"/engines/([^/]+)(/.+)")
# Any model: what it is called is the catalogue's to decide.
_ANY: Final = RunConfig(model="", namespace="", runner="", engine=LLAMA_CPP, weights="")


@dataclass(frozen=True, slots=True)
class Question:
    """What a body asks.

    Attributes:
        name: The model, as it was named.
        raw: The body for the engine.
        keep_alive: Seconds that it asks for, None when it does not.
        unload: It only wants the model unloaded.
    """

    name: str
    raw: bytes
    keep_alive: float | None = None
    unload: bool = False


class Paths:
    """Every spelling of every path that a model answers. Pure."""

    def __init__(self) -> None:
        self._plain = inference_routes(LLAMA_CPP)
        self._images = {path for engine in BACKENDS for path in image_paths(engine)}

    def find(self, path: str) -> tuple[Inference, str] | None:
        """The route, and the backend that the path names ("" for none)."""
        if route := self._plain.get(path):
            return route, LLAMA_CPP if path.startswith(f"/engines/{LLAMA_CPP}/") else ""
        found = _BACKEND.fullmatch(path)
        route = self._plain.get(f"/engines{found[2]}") if found else None
        return (route, found[1]) if found and route else None

    def is_image(self, path: str) -> bool:
        """Whether pictures are asked for there."""
        return path in self._images


class Inferences:
    """Answers at these paths.

    Args:
        catalogue: The models.
        pool: Their engines.
        intake: The way in.
        recorder: Notes what was asked and answered.
        default_model: The model of requests that name none, "" for none.
        stopping: Whether the server takes no more requests.
    """

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        pool: Pool,
        intake: Intake,
        recorder: Recorder,
        default_model: str,
        stopping: Callable[[], bool],
    ) -> None:
        self._catalogue = catalogue
        self._pool = pool
        self._intake = intake
        self._recorder = recorder
        self._default_model = default_model
        self._stopping = stopping
        self._checks = Checks(_ANY, knows=lambda _: True)

    async def answer(
        self, request: web.BaseRequest, route: Inference, backend: str
    ) -> web.StreamResponse:
        """The answer to a request at `route`, whose path names `backend`."""

        async def inside(came: Incoming) -> web.StreamResponse:
            try:
                return await self._inside(came, backend)
            except RefusedError as refused:
                return refused.answer(route.dialect)

        return await self._intake.answer(request, route, closed=self._closed, inside=inside)

    def _closed(self, route: Inference) -> web.Response | None:
        if not self._stopping():
            return None
        found = Rejection(503, "the server is stopping", SERVER_ERROR, "stopping")
        answer = answers.rejection(found, route.dialect, {"Retry-After": "5"})
        answer.force_close()
        return answer

    async def _inside(self, came: Incoming, backend: str) -> web.StreamResponse:
        route = came.route
        if backend and backend not in BACKENDS:
            raise RefusedError(unknown_backend(backend))
        question = self._question(came)
        stored = await asyncio.to_thread(self._catalogue.find, question.name)
        if stored is None:
            raise RefusedError(_unknown(question.name, route.dialect))
        _check_backend(backend, stored)
        if came.preload:
            return await self._asked(came, question, stored)
        with self._recorder.recorded(
            came.request, came.raw, identity=stored.identity, model=question.name
        ) as answered:
            response = await self._asked(came, question, stored)
            answered(response)
        return response

    def _question(self, came: Incoming) -> Question:
        """What a request asks, or the refusal of one that no engine should be started for."""
        route, kind = came.route, came.route.kind
        if came.preload or kind is not None:
            asked_for = _taken(model_of(came.raw, older=kind is not None))
            name, raw = self._named(asked_for, came.raw)
            return Question(name, raw) if came.preload or kind is None else _ollama(kind, name, raw)
        accepted = _taken(self._checks.body(route, came.raw))
        name, raw = self._named(accepted.asked, accepted.body)
        if route.dialect is Dialect.RESPONSES and (refused := wrong(raw)):
            raise RefusedError(refused)
        if route.mode is Mode.RERANKING:
            _taken(ranking_of(route, raw))
        return Question(name, raw, accepted.keep_alive)

    def _named(self, name: str, raw: bytes) -> tuple[str, bytes]:
        """The model that a body names, else the default one, which is put into the body."""
        if name:
            return name, raw
        if self._default_model:
            return self._default_model, with_model(raw, self._default_model)
        raise RefusedError(reject(400, "model is required", code="model_required", param="model"))

    async def _asked(
        self, came: Incoming, question: Question, stored: Stored
    ) -> web.StreamResponse:
        route = came.route
        mode = self._mode(route, stored)
        if question.unload and route.kind is not None:
            await self._pool.unload({stored.identity})
            return Translator.at_once(asked(route.kind, decoded(question.raw), context=None))
        async with self._pool.lease(stored, mode, name=question.name) as served:
            if question.keep_alive is not None:
                self._pool.keep_alive(Key(stored.identity, mode), question.keep_alive)
            if came.preload:
                return loaded()
            if not served.gate.enter():
                return answers.busy("too many requests wait for this model", route.dialect)
            try:
                return await served.answer(
                    came.request, route, question.raw, came.number, arrived=came.arrived
                )
            finally:
                served.gate.leave(0)

    def _mode(self, route: Inference, stored: Stored) -> Mode:
        """What the engine has to be started for."""
        if route.mode is not None:
            return route.mode
        # A tokenizer is the same in all modes: the one that is there answers.
        running = (one.mode for one in self._pool.running() if one.identity == stored.identity)
        return next(running, Mode.COMPLETION)


def _taken(found: _T | Rejection) -> _T:
    if isinstance(found, Rejection):
        raise RefusedError(found)
    return found


def _ollama(kind: Kind, name: str, raw: bytes) -> Question:
    try:
        found = asked(kind, decoded(raw), context=None)
    except AskedWronglyError as error:
        raise RefusedError(error.found) from error
    return Question(name, raw, found.keep_alive, unload=found.reason == "unload")


def _unknown(name: str, dialect: Dialect) -> Rejection:
    return reject(404, unknown_model(name)) if dialect is Dialect.OLLAMA else unknown(name)


def _check_backend(backend: str, stored: Stored) -> None:
    try:
        suited = backend_of(backend, stored.artifact.format, BACKENDS)
    except ConfigureError as error:
        raise RefusedError(reject(error.status, str(error), code="wrong_backend")) from error
    if suited != LLAMA_CPP:
        what = "vLLM" if suited == VLLM else suited
        text = f"this model needs {what}, and this server starts {LLAMA_CPP} only"
        raise RefusedError(reject(501, text, code="wrong_backend"))
