"""What Ollama's clients ask of a server: which models there are, which run, what one is."""

from dataclasses import replace
from typing import Any, Final

from aiohttp import web

from modelrunner.gateway.backoffice.asking import allowed, json_answer
from modelrunner.gateway.backoffice.catalogue import Catalogue, context_of, memory_of, moment_of
from modelrunner.gateway.backoffice.ollama_changes import Changes, asked_of, required
from modelrunner.gateway.backoffice.templates import Templates
from modelrunner.gateway.dialects import Refused
from modelrunner.gateway.management.management import Management
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner_protocol.ollama import (
    FOREVER,
    MANAGEMENT,
    VERSION,
    Described,
    capabilities_of,
    listed,
    running,
    shown,
    unknown_model,
)

_MANAGED: Final = (
    "weights are not made or moved through this API: package them with docker model package, "
    "push them to a registry and pull them from there"
)


def routes(
    catalogue: Catalogue, management: Management | None, templates: Templates
) -> list[web.RouteDef]:
    """`/api/version`, `/api/tags`, `/api/ps`, `/api/show`, and those that change models.

    Without `management` the latter are 403; those that make weights are 501.
    """

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
        asked = asked_of(await request.read())
        name = required(asked.model or asked.name)
        found = catalogue.one(name, allowed(request))
        if found is None:
            raise Refused(404, "model_not_found", unknown_model(name), "model")
        told = described(catalogue.tagged(name, found), found)
        return json_answer(shown(replace(told, template=await templates.of(found))))

    async def managed(_: web.Request) -> web.Response:
        raise Refused(501, "not_implemented", _MANAGED)

    changes = Changes(catalogue, management).handlers
    return [
        web.get("/api/version", version),
        web.get("/api/tags", tags),
        web.get("/api/ps", ps),
        web.post("/api/show", show),
        *(
            web.route(method, path, changes.get(path, managed))
            for path, method in MANAGEMENT.items()
        ),
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
        memory=memory_of(model),
        capabilities=capabilities_of(model.mode, artifact.get("abilities") or ()),
    )


def _running(catalogue: Catalogue, model: ModelEntry) -> dict[str, Any]:
    name = catalogue.tagged(catalogue.name_of(model), model)
    return running(described(name, model), expires_at=model.status.get("idleDeadline") or FOREVER)
