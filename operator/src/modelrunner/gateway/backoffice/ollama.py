"""What Ollama's clients ask of a server: which models there are, which run, what one is."""

from typing import Any, Final

import msgspec
from aiohttp import web

from modelrunner.gateway.backoffice.asking import Refused, allowed, json_answer
from modelrunner.gateway.backoffice.catalogue import Catalogue, context_of, moment_of
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner_protocol.ollama import (
    FOREVER,
    MANAGEMENT,
    VERSION,
    Described,
    listed,
    running,
    shown,
    unknown_model,
)
from modelrunner_protocol.wire import Mode

_MANAGED: Final = (
    "models are managed as Model objects of Kubernetes here, not through this API: "
    "use kubectl, Helm or Argo CD"
)


class _Named(msgspec.Struct):
    model: str | None = None
    name: str | None = None


_named: Final = msgspec.json.Decoder(_Named).decode


def routes(catalogue: Catalogue) -> list[web.RouteDef]:
    """`/api/version`, `/api/tags`, `/api/ps`, `/api/show`, and those that change models: 501."""

    async def version(_: web.Request) -> web.Response:
        return json_answer({"version": VERSION})

    async def tags(request: web.Request) -> web.Response:
        found = catalogue.listed(allowed(request))
        named = {catalogue.tagged(name, model): model for name, model in found}
        return json_answer({"models": [listed(described(*one)) for one in named.items()]})

    async def ps(request: web.Request) -> web.Response:
        found = (model for model in catalogue.models(allowed(request)) if model.ready)
        return json_answer({"models": [_running(catalogue, model) for model in found]})

    async def show(request: web.Request) -> web.Response:
        name = _name(await request.read())
        found = catalogue.one(name, allowed(request))
        if found is None:
            raise Refused(404, "model_not_found", unknown_model(name), "model")
        return json_answer(shown(described(catalogue.tagged(name, found), found)))

    async def managed(_: web.Request) -> web.Response:
        raise Refused(501, "not_implemented", _MANAGED)

    return [
        web.get("/api/version", version),
        web.get("/api/tags", tags),
        web.get("/api/ps", ps),
        web.post("/api/show", show),
        *(web.route(method, path, managed) for path, method in MANAGEMENT.items()),
    ]


def described(name: str, model: ModelEntry) -> Described:
    """What the cluster knows of a model."""
    artifact = model.status.get("artifact") or {}
    return Described(
        identity=model.path,
        name=name,
        digest=artifact.get("digest") or "",
        format=artifact.get("format") or "",
        architecture=artifact.get("architecture") or "",
        parameters=artifact.get("parameters") or "",
        quantization=artifact.get("quantization") or "",
        size=artifact.get("sizeBytes") or 0,
        modified=moment_of(model.created).timestamp(),
        context=context_of(model),
        capabilities=("embedding",)
        if model.mode == Mode.EMBEDDING
        else ("completion", *(artifact.get("abilities") or ())),
    )


def _running(catalogue: Catalogue, model: ModelEntry) -> dict[str, Any]:
    name = catalogue.tagged(catalogue.name_of(model), model)
    return running(described(name, model), expires_at=model.status.get("idleDeadline") or FOREVER)


def _name(body: bytes) -> str:
    try:
        asked = _named(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, "invalid_request", f"The body is no such request: {error}") from error
    if name := asked.model or asked.name:
        return name
    raise Refused(400, "model_required", "model is required", "model")
