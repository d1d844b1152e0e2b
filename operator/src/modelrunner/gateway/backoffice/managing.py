"""Docker Model Runner's routes that change something: a request becomes a Model object."""

from typing import Final

from aiohttp import web

from modelrunner.gateway.backoffice.asking import (
    allowed,
    body_of,
    engine_of,
    json_answer,
    managing,
    may,
)
from modelrunner.gateway.backoffice.catalogue import Catalogue
from modelrunner.gateway.backoffice.dmr import meant
from modelrunner.gateway.backoffice.pulling import docker_lines, sent
from modelrunner.gateway.dialects import Refused
from modelrunner.gateway.management.management import Management
from modelrunner.gateway.routing.paths import ENGINES
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner_protocol import dmr
from modelrunner_protocol.configure import (
    ConfigureError,
    ConfigureRequest,
    backend_of,
    checked,
    configure_request,
)

_TRUE: Final = frozenset({"1", "t", "true"})


def routes(catalogue: Catalogue, management: Management | None) -> list[web.RouteDef]:
    """The routes that write; without `management` each of them is 403."""
    here = _Changes(catalogue, management)
    found = [
        web.post("/models/create", here.create),
        web.delete("/models/purge", here.purge),
        web.delete("/models/{name:.+}", here.delete),
        web.post("/models/{name:.+}/tag", here.tag),
        web.post("/models/{name:.+}", here.action),
    ]
    for prefix in ("/engines", "/engines/{engine}"):
        found.append(web.post(f"{prefix}/_configure", here.configure))
        found.append(web.post(f"{prefix}/unload", here.unload))
        found.append(web.post(f"{prefix}/_unload", here.underscore_unload))
    return found


class _Changes:
    """The handlers."""

    def __init__(self, catalogue: Catalogue, management: Management | None) -> None:
        self._catalogue = catalogue
        self._management = management

    async def create(self, request: web.Request) -> web.StreamResponse:
        management = managing(request, self._management)
        try:
            asked = dmr.create_request(await body_of(request))
        except dmr.ShapeError as error:
            raise _wrong_shape(error) from error
        made = await management.making.model_of(asked.reference, may(request))
        accept = request.headers.get("Accept", "")
        lines = docker_lines(management, made, accept, token=bool(asked.token))
        return await sent(request, lines, dmr.line_type(accept))

    async def delete(self, request: web.Request) -> web.Response:
        management = managing(request, self._management)
        force = request.query.get("force", "").lower() in _TRUE
        name = request.match_info["name"]
        done = await management.removing.remove(self._meant(request), name, force=force)
        return json_answer(dmr.removal_answer(done))

    async def purge(self, request: web.Request) -> web.Response:
        await managing(request, self._management).removing.purge(may(request))
        return web.Response()

    async def tag(self, request: web.Request) -> web.Response:
        management = managing(request, self._management)
        repository, tag = request.query.get("repo", ""), request.query.get("tag", "")
        if not repository or not tag:
            raise Refused(400, "invalid_request", "missing repo or tag query parameter")
        target = f"{repository}:{tag}"
        await management.changing.tag(self._meant(request), target)
        return json_answer(dmr.tag_answer(target), status=201)

    async def action(self, request: web.Request) -> web.Response:
        managing(request, self._management)
        word = request.match_info["name"].rpartition("/")[2]
        raise Refused(404, "not_found", f'unknown action "{word[:80]}"')

    async def configure(self, request: web.Request) -> web.Response:
        management = managing(request, self._management)
        engine = engine_of(request)
        try:
            asked = configure_request(await body_of(request))
            found = meant(self._catalogue, asked.model, allowed(request))
            _check(found, engine, asked)
        except ConfigureError as error:
            raise Refused(error.status, "invalid_request", str(error), error.param) from error
        await management.changing.configure(found, asked.configuration, asked.mode)
        return web.Response(status=202)

    async def unload(self, request: web.Request) -> web.Response:
        management = managing(request, self._management)
        try:
            asked = dmr.unload_request(await body_of(request))
        except dmr.ShapeError as error:
            raise _wrong_shape(error) from error
        count = await management.unload(self._to_unload(request, asked))
        return json_answer(dmr.unload_answer(count))

    async def underscore_unload(self, request: web.Request) -> web.Response:
        management = managing(request, self._management)
        engine_of(request)
        try:
            asked = dmr.underscore_unload_request(await body_of(request))
        except dmr.ShapeError as error:
            raise _wrong_shape(error) from error
        found = meant(self._catalogue, asked.models[0], allowed(request))
        return json_answer(dmr.unload_answer(await management.unload([found])))

    def _meant(self, request: web.Request) -> ModelEntry:
        return meant(self._catalogue, request.match_info["name"], allowed(request))

    def _to_unload(self, request: web.Request, asked: dmr.Unload) -> list[ModelEntry]:
        """Names of no model count for nothing, as Docker Model Runner has it."""
        engine = engine_of(request) or asked.backend
        known = allowed(request)
        listed = self._catalogue.models(known)
        if not asked.all:
            named = (self._catalogue.meant(name, known) for name in asked.models)
            listed = list({one.path: one for one in named if one is not None}.values())
        return [one for one in listed if not engine or one.engine == engine]


def _wrong_shape(error: dmr.ShapeError) -> Refused:
    return Refused(400, "invalid_request", f"invalid request: {error}")


def _check(model: ModelEntry, engine: str, asked: ConfigureRequest) -> None:
    """Whether the flags are some that the model's engine may have.

    Raises:
        ConfigureError: they are not, or the path names an engine that cannot run the model.
    """
    artifact = model.status.get("artifact") or {}
    backend = backend_of(engine or model.engine, artifact.get("format") or "", ENGINES)
    checked(asked.configuration, backend)
