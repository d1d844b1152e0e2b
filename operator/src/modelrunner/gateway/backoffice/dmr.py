"""What Docker Model Runner's clients ask of a server: which models there are, which run, and how.

Nothing is changed by it, so these routes are always there.
"""

from typing import Any, Final

from aiohttp import web

from modelrunner.gateway.backoffice.asking import allowed, engine_of, json_answer
from modelrunner.gateway.backoffice.catalogue import (
    Allowed,
    Catalogue,
    context_of,
    memory_of,
    moment_of,
)
from modelrunner.gateway.dialects import Refused
from modelrunner.gateway.management.configuration import configuration_of, keep_alive_of
from modelrunner.gateway.routing.paths import ENGINES
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner_protocol import dmr
from modelrunner_protocol.configure import LLAMA_CPP, told_entry

_RECORDED: Final = (
    "Requests are recorded by stand-alone servers only: the gateway passes them on and keeps none. "
    "Its metrics are at /metrics, and its access log tells of each request"
)
_LOGS: Final = (
    "Logs are not read through the gateway: use kubectl logs, such as "
    "kubectl logs --namespace NAMESPACE --selector modelrunner.dev/model=NAME"
)
_INSTALLED: Final = (
    "Engines are images of ModelRunner objects here: set spec.images of the ModelRunner"
)
_WEIGHTS: Final = "Weights are not moved through the gateway: they go from a registry to a volume"
_REMOTE: Final = "The gateway asks no registry: it knows the models that are here"

_NEVER: Final = (
    ("GET", "/engines/requests", _RECORDED),
    ("GET", "/logs", _LOGS),
    ("POST", "/engines/install-backend", _INSTALLED),
    ("POST", "/engines/uninstall-backend", _INSTALLED),
    ("POST", "/models/load", _WEIGHTS),
    ("POST", "/models/{name:.+}/push", _WEIGHTS),
    ("POST", "/models/{name:.+}/repackage", _WEIGHTS),
)
"""What only a stand-alone server can do, with the reason."""


def routes(catalogue: Catalogue) -> list[web.RouteDef]:
    """The routes that read."""

    async def models(request: web.Request) -> web.Response:
        found = catalogue.models(allowed(request))
        return json_answer([dmr.model_object(described(catalogue, one)) for one in found])

    async def model(request: web.Request) -> web.Response:
        if request.query.get("remote", "").lower() in {"1", "t", "true"}:
            raise Refused(501, "not_implemented", _REMOTE)
        found = meant(catalogue, request.match_info["name"], allowed(request))
        return json_answer(dmr.model_object(described(catalogue, found)))

    async def status(request: web.Request) -> web.Response:
        found = catalogue.models(allowed(request))
        return json_answer({engine: _engine(engine, found) for engine in ENGINES})

    async def ps(request: web.Request) -> web.Response:
        found = catalogue.models(allowed(request))
        return json_answer([_running(catalogue, one) for one in found if one.ready or one.starting])

    async def df(request: web.Request) -> web.Response:
        found = catalogue.models(allowed(request))
        # Equal artifacts of a namespace share one cache.
        caches = {(one.namespace, one.identity): _size(one) for one in found}
        return json_answer(dmr.disk_usage(models=sum(caches.values()), backend=0))

    async def configurations(request: web.Request) -> web.Response:
        engine = engine_of(request)
        name = request.query.get("model", "")
        listed = catalogue.models(allowed(request))
        if name:
            asked = catalogue.meant(name, allowed(request))
            listed = [asked] if asked is not None else []
        return json_answer(
            [_configuration(catalogue, one) for one in listed if not engine or _runs(one) == engine]
        )

    return [
        web.get("/models", models),
        web.get("/models/", models),
        web.get("/models/create", _posted),
        web.get("/models/load", _posted),
        web.get("/models/{name:.+}", model),
        web.get("/engines/status", status),
        web.get("/engines/ps", ps),
        web.get("/engines/df", df),
        web.get("/engines/_configure", configurations),
        web.get("/engines/{engine}/_configure", configurations),
        *(web.route(method, path, _never(why)) for method, path, why in _NEVER),
    ]


async def _posted(request: web.Request) -> web.Response:
    raise web.HTTPMethodNotAllowed(request.method, ["POST"])


def meant(catalogue: Catalogue, name: str, allowed: Allowed) -> ModelEntry:
    """The model that a name of Docker Model Runner's routes means.

    Raises:
        Refused: 404.
    """
    found = catalogue.meant(name, allowed)
    if found is None:
        told = f"model not found: {name[:200]} does not exist here; GET /models lists those that do"
        raise Refused(404, "model_not_found", told, "model")
    return found


def described(catalogue: Catalogue, model: ModelEntry) -> dmr.Model:
    """A model in Docker Model Runner's terms."""
    artifact = model.status.get("artifact") or {}
    return dmr.Model(
        identity=model.identity,
        tags=catalogue.tags(model),
        created=moment_of(model.created).timestamp(),
        format=artifact.get("format") or "",
        architecture=artifact.get("architecture") or "",
        parameters=artifact.get("parameters") or "",
        quantization=artifact.get("quantization") or "",
        size=_size(model),
        context_size=context_of(model),
        memory=memory_of(model),
    )


def _running(catalogue: Catalogue, model: ModelEntry) -> dict[str, Any]:
    used = model.status.get("lastUsedTime")
    return dmr.running_row(
        backend=_runs(model),
        model=catalogue.name_of(model),
        mode=model.mode,
        last_used=moment_of(used).timestamp() if isinstance(used, str) else None,
        in_use=model.in_flight > 0,
        loading=not model.ready,
        keep_alive=keep_alive_of(model.spec),
    )


def _configuration(catalogue: Catalogue, model: ModelEntry) -> dict[str, Any]:
    return told_entry(
        configuration_of(model.spec),
        backend=_runs(model),
        model=next(iter(catalogue.tags(model)), catalogue.name_of(model)),
        identity=model.identity,
        mode=model.mode,
    )


def _engine(engine: str, models: list[ModelEntry]) -> str:
    own = [model for model in models if _runs(model) == engine]
    if not own and engine != LLAMA_CPP:
        return dmr.missing_status("no Model runs on it")
    awake = sum(1 for model in own if model.ready)
    return dmr.running_status(f"{awake} of {len(own)} models have a ready runner")


def _runs(model: ModelEntry) -> str:
    """The engine; before the weights were looked at nobody knows another one."""
    return model.engine or LLAMA_CPP


def _size(model: ModelEntry) -> int:
    size = (model.status.get("artifact") or {}).get("sizeBytes")
    return size if isinstance(size, int) else 0


def _never(why: str) -> Any:
    async def refuse(_: web.Request) -> web.Response:
        raise Refused(501, "not_implemented", why)

    return refuse
