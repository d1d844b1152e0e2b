"""Ollama's questions, put to an engine that speaks OpenAI's language, and its answers."""

import json
import time
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import ClientResponse, web

from modelrunner_protocol.ollama import unknown_model
from runnerd.engines.supervisor import Supervisor
from runnerd.ollama.asked import CHAT_PATH, EMBEDDING_PATH, INSERT_PATH, Asked, Kind, asked
from runnerd.ollama.counters import Course, counters
from runnerd.ollama.members import AskedWronglyError, decoded
from runnerd.ollama.said import said
from runnerd.ollama.shortening import shortened
from runnerd.ollama.spoken import Spoken, Stamps
from runnerd.ollama.stream import Stream
from runnerd.server import answers
from runnerd.server.checks import Checks
from runnerd.server.dialects import Dialect, Rejection, reject
from runnerd.server.proxy import Proxy
from runnerd.server.refusals import TOO_LONG, refusal
from runnerd.server.retelling import retell, whole
from runnerd.server.routes import Inference

LINES: Final = "application/x-ndjson"
CONTEXT_HEADER: Final = "X-Model-Context-Size"
"""On answers to a request whose `num_ctx` is more than there is: how much there is."""

_SHORTENINGS: Final = 3

_encode: Final = json.JSONEncoder().encode
_clock: Final = time.time_ns


class Translator:
    """Answers the four questions that Ollama's clients ask a model."""

    def __init__(self, checks: Checks, proxy: Proxy, engine: Supervisor) -> None:
        self._checks = checks
        self._proxy = proxy
        self._engine = engine
        self._stamps = Stamps(_clock)

    def asked(self, kind: Kind, raw: bytes, *, meant: bool = False) -> Asked | Rejection:
        """What a body asks, or what is wrong with it. `meant`: see `Checks.is_meant`."""
        properties = self._engine.properties
        try:
            found = asked(kind, decoded(raw), context=properties.context)
        except AskedWronglyError as error:
            return error.found
        if not meant and not self._checks.knows(found.model):
            return reject(404, unknown_model(found.model))
        abilities = {
            "tools": properties.tools,
            "thinking": properties.thinking,
            "vision": properties.vision,
        }
        for need in found.needs:
            if abilities[need] is False:
                return reject(400, f'"{found.model}" does not support {need}')
        return found

    @staticmethod
    def at_once(found: Asked) -> web.Response:
        """The answer to a request that asks the engine nothing: load, unload."""
        if found.kind is Kind.EMBED:
            return _one(_embedded(found, [], {}))
        if found.kind is Kind.EMBEDDINGS:
            return _one({"embedding": []})
        return _one(Spoken(found, Stamps(_clock)).nothing(found.reason))

    async def answer(
        self,
        request: web.BaseRequest,
        route: Inference,
        found: Asked,
        request_id: str,
        *,
        waited: float,
    ) -> web.StreamResponse:
        """The engine's answer in Ollama's words. `waited`: seconds since the request came."""
        now = _clock()
        course = Course(arrived=now - int(waited * 1e9), asked=now)
        body = found.body
        for chances in range(_SHORTENINGS, -1, -1):
            sent = _encode(body).encode()
            begun = await self._proxy.begin(request, route, found.path, sent, request_id)
            if isinstance(begun, web.Response):
                return begun
            upstream, epoch = begun
            try:
                if upstream.status == 200 and found.stream:
                    return await self._lines(request, found, course, begun, request_id)
                raw = await whole(upstream)
            finally:
                upstream.close()
            if raw is None:
                return await self._proxy.lost(route.dialect, epoch)
            if upstream.status == 200:
                return self._whole(found, course, raw, request_id)
            shorter = _shorter(found, body, raw) if chances else None
            if shorter is None:
                return answers.rejection(
                    _refused(route, found, upstream.status, raw), route.dialect
                )
            body = shorter
        raise AssertionError("the last chance has no shorter one")

    def _whole(self, found: Asked, course: Course, raw: bytes, request_id: str) -> web.Response:
        course.ended = _clock()
        try:
            data = json.loads(raw)
            if found.path == EMBEDDING_PATH:
                vectors = [one["embedding"] for one in data["data"]]
                usage = data.get("usage") or {}
                told: dict[str, Any] = (
                    _embedded(found, vectors, counters(course, usage, None))
                    if found.kind is Kind.EMBED
                    else {"embedding": vectors[0]}
                )
            else:
                told = Spoken(found, self._stamps).whole(said(found.path, data), course)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            text = "the engine gave an answer that cannot be read"
            return answers.rejection(answers.engine_failure(text), Dialect.OLLAMA)
        return _one(told, self._headers(found, request_id))

    async def _lines(
        self,
        request: web.BaseRequest,
        found: Asked,
        course: Course,
        begun: tuple[ClientResponse, int],
        request_id: str,
    ) -> web.StreamResponse:
        """An answer line by line, from its first one on."""
        return await retell(
            request,
            begun,
            Stream(found.path, Spoken(found, self._stamps), course, _clock),
            dialect=Dialect.OLLAMA,
            headers={**self._headers(found, request_id), "Content-Type": LINES},
            engine=self._engine,
            proxy=self._proxy,
        )

    def _headers(self, found: Asked, request_id: str) -> dict[str, str]:
        told = {"Server": answers.SERVER, "X-Request-Id": request_id}
        context = self._engine.properties.context
        if context is not None and found.context is not None and found.context > context:
            told[CONTEXT_HEADER] = str(context)
        return told


def _one(told: Mapping[str, Any], headers: dict[str, str] | None = None) -> web.Response:
    return answers.json_answer(200, told, headers)


def _embedded(
    found: Asked, vectors: list[list[float]], counted: Mapping[str, int]
) -> dict[str, Any]:
    told = {"model": found.model, "embeddings": vectors}
    kept = ("total_duration", "load_duration", "prompt_eval_count")
    return told | {name: counted.get(name, 0) for name in kept}


def _shorter(found: Asked, body: Mapping[str, Any], raw: bytes) -> dict[str, Any] | None:
    """A chat without its oldest messages, when it was too long and may be cut."""
    if found.path != CHAT_PATH or not found.truncate:
        return None
    try:
        error = json.loads(raw)["error"]
        if error["type"] != TOO_LONG:
            return None
        tokens, context = int(error["n_prompt_tokens"]), int(error["n_ctx"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    messages = shortened(body["messages"], tokens=tokens, context=context)
    return None if messages is None else {**body, "messages": messages}


def _refused(route: Inference, found: Asked, status: int, raw: bytes) -> Rejection:
    if found.path == INSERT_PATH and status in {404, 501}:
        return reject(400, f'"{found.model}" does not support insert')
    told = refusal(route, status, raw, found.path)
    text = raw[:1000].decode(errors="replace").strip()
    return told or Rejection(status, text or f"the engine answered with status {status}")
