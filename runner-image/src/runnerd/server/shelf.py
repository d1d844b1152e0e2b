"""What Ollama's clients ask of a server: its version, and the one model that it has."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from aiohttp import web

from modelrunner_protocol.ollama import (
    FOREVER,
    MANAGEMENT,
    VERSION,
    WELCOME,
    Described,
    listed,
    moment,
    running,
    shown,
    tagged,
    unknown_model,
)
from modelrunner_protocol.wire import Mode
from runnerd.ollama.members import AskedWronglyError, decoded, text
from runnerd.server import answers
from runnerd.server.body import Body
from runnerd.server.dialects import Dialect, Rejection, reject
from runnerd.server.served import Served
from runnerd.weights.formats import artifact_of, shard_names
from runnerd.weights.gguf import GgufError, read

_BODY_LIMIT: Final = 64 << 10
_BODY_TIMEOUT: Final = 5.0
_READ: Final = ("GET", "HEAD")

_Handler = Callable[[web.BaseRequest], Awaitable[web.Response]]


class Shelf:
    """Answers at `/`, `/api/version`, `/api/tags`, `/api/ps` and `/api/show`."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._config = served.config
        self._checks = served.checks
        self._engine = served.engine
        self._gate = served.gate
        self._weights: Described | None = None
        self._routes: dict[str, tuple[tuple[str, ...], _Handler]] = {
            "/": (_READ, self._welcome),
            "/api/version": (_READ, self._version),
            "/api/tags": (_READ, self._tags),
            "/api/ps": (_READ, self._ps),
            "/api/show": (("POST",), self._show),
            **{path: ((method,), self._managed) for path, method in MANAGEMENT.items()},
        }

    async def answer(self, request: web.BaseRequest, path: str) -> web.Response | None:
        """The answer at one of the paths, None for another path."""
        found = self._routes.get(path)
        if found is None:
            if not path.startswith("/api/"):
                return None
            return _refused(reject(404, f"There is nothing at {path[:200]}"))
        methods, handler = found
        if request.method in methods:
            return await handler(request)
        allowed = ", ".join(methods)
        return _refused(reject(405, f"Use {allowed}"), {"Allow": allowed})

    async def _welcome(self, _: web.BaseRequest) -> web.Response:
        return web.Response(text=WELCOME, headers={"Server": answers.SERVER})

    async def _version(self, _: web.BaseRequest) -> web.Response:
        return answers.json_answer(200, {"version": VERSION})

    async def _tags(self, _: web.BaseRequest) -> web.Response:
        found = await self._described()
        names = dict.fromkeys(tagged(name) for name in (self._config.model, *self._config.aliases))
        return answers.json_answer(200, {"models": [listed(found(name)) for name in names]})

    async def _ps(self, _: web.BaseRequest) -> web.Response:
        if not self._engine.ready:
            return answers.json_answer(200, {"models": []})
        found = (await self._described())(tagged(self._config.model))
        return answers.json_answer(200, {"models": [running(found, expires_at=self._expiry())]})

    async def _show(self, request: web.BaseRequest) -> web.Response:
        name = await _named(request)
        if isinstance(name, Rejection):
            return _refused(name)
        if not self._checks.knows(name):
            return _refused(reject(404, unknown_model(name)))
        return answers.json_answer(200, shown((await self._described())(tagged(name))))

    async def _managed(self, _: web.BaseRequest) -> web.Response:
        text_ = "this runner serves one model, which is managed elsewhere: nothing can be changed"
        return _refused(reject(501, text_))

    def _expiry(self) -> str:
        """Only a keep_alive that a request brought is known here; the operator knows the rest."""
        keep_alive, last = self._served.keep_alive, self._gate.last_used_at
        if keep_alive is None or keep_alive < 0 or last is None:
            return FOREVER
        try:
            return moment(last + keep_alive)
        except (ValueError, OverflowError, OSError):
            return FOREVER

    async def _described(self) -> Callable[[str], Described]:
        """The model under a name."""
        if self._weights is None:
            self._weights = await asyncio.to_thread(_weights, self._config.weights)
        weights, config, properties = self._weights, self._config, self._engine.properties
        does = ("completion", *properties.capabilities)

        def named(name: str) -> Described:
            return Described(
                identity=f"{config.namespace}/{config.model}",
                name=name,
                format=weights.format,
                architecture=weights.architecture,
                parameters=weights.parameters,
                quantization=weights.quantization,
                size=weights.size,
                modified=weights.modified,
                context=properties.context or config.context_size or weights.context,
                capabilities=("embedding",) if config.mode is Mode.EMBEDDING else does,
                template=properties.template,
            )

        return named


def _refused(found: Rejection, headers: dict[str, str] | None = None) -> web.Response:
    return answers.rejection(found, Dialect.OLLAMA, headers)


async def _named(request: web.BaseRequest) -> str | Rejection:
    """The model that a small body names."""
    body = Body(request, lambda _: True)
    raw = await body.read(limit=_BODY_LIMIT, timeout=_BODY_TIMEOUT)
    if isinstance(raw, Rejection):
        return raw
    try:
        data = decoded(raw)
        found = text(data, "model") or text(data, "name")
    except AskedWronglyError as error:
        return error.found
    return found or reject(400, "model is required", param="model")


def _weights(path: str) -> Described:
    """What the file tells; a file that cannot be read tells nothing, and the engine says why."""
    whole = Path(path)
    files = [whole.with_name(one) for one in shard_names(whole.name)] or [whole]
    try:
        with whole.open("rb") as file:
            artifact = artifact_of(read(file), ())
        stats = [file.stat() for file in files]
    except (OSError, GgufError):
        return Described(identity="", name="")
    return Described(
        identity="",
        name="",
        format=artifact.format,
        architecture=artifact.architecture,
        parameters=artifact.parameters,
        quantization=artifact.quantization,
        size=sum(stat.st_size for stat in stats),
        modified=stats[0].st_mtime,
        context=artifact.context_size,
    )
