"""The application behind the front, and the one at the admin port.

The front has routed and authenticated what comes here. It tells which models the client may know
of in `X-Modelrunner-Models` (patterns of `namespace/name`; no header: all).

Lists of an engine's path (`/engines/vllm/v1/models`) hold that engine's models, and an engine
nobody knows is 404, as for inference. (Docker Model Runner does not look at the segment.)
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from modelrunner.gateway.auth.globs import EVERYTHING
from modelrunner.gateway.backoffice import dmr, managing, ollama
from modelrunner.gateway.backoffice.asking import MODELS_HEADER, allowed, engine_of, json_answer
from modelrunner.gateway.backoffice.catalogue import Catalogue, anthropic, openai
from modelrunner.gateway.backoffice.templates import Runners, Templates
from modelrunner.gateway.dialects import Refused, dialect_of
from modelrunner.gateway.management.management import Management
from modelrunner.gateway.messages import Answer
from modelrunner.gateway.routing.paths import ROUTES
from modelrunner.gateway.telemetry.exposition import CONTENT_TYPE
from modelrunner.telemetry.probes import Report, answer
from modelrunner_protocol.ollama import WELCOME

SERVER: Final = "model-runner-gateway"

_LARGEST_BODY: Final = 64 * 1024
"""Of a configuration; Docker Model Runner's own limit is made for images in chats."""

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Probes:
    """What the process tells of itself."""

    version: str
    health: Callable[[], Report]
    ready: Callable[[], Report]
    metrics: Callable[[], Awaitable[bytes]]

    def routes(self, *, public: bool) -> list[web.RouteDef]:
        """`/healthz`, `/readyz`, `/metrics` and `/version`.

        Where they are `public`, anybody may ask for the first two, so they tell no details, and
        metrics are not for keys of some models only: they tell of all. There is `/health` then,
        too, which clients of llama-server and vLLM ask for.
        """

        def told(report: Report) -> web.Response:
            return answer(Report(report.ok) if public else report)

        async def healthz(_: web.Request) -> web.Response:
            return told(self.health())

        async def readyz(_: web.Request) -> web.Response:
            return told(self.ready())

        async def health(_: web.Request) -> web.Response:
            well = self.health().ok
            return json_answer({"status": "ok" if well else "error"}, 200 if well else 503)

        async def metrics(request: web.Request) -> web.Response:
            if public and not _may_see_all(request):
                why = "Metrics tell of all models, and this API key is for some of them"
                raise Refused(403, "insufficient_scope", why)
            return web.Response(body=await self.metrics(), headers={"Content-Type": CONTENT_TYPE})

        async def version(_: web.Request) -> web.Response:
            return json_answer({"version": self.version})

        return [
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            web.get("/metrics", metrics),
            web.get("/version", version),
            *([web.get("/health", health)] if public else []),
        ]


def admin(probes: Probes) -> web.Application:
    """The application at the admin port: probes only."""
    return _application(probes.routes(public=False))


def back_office(
    probes: Probes, catalogue: Catalogue, runners: Runners, management: Management | None = None
) -> web.Application:
    """The application behind the front. Without `management` no Model is changed through it."""

    async def welcome(_: web.Request) -> web.Response:
        return web.Response(text=WELCOME)

    async def models(request: web.Request) -> web.Response:
        engine = engine_of(request)
        found = catalogue.listed(allowed(request), engine)
        data = [openai(name, model) for name, model in found]
        return json_answer({"object": "list", "data": data})

    async def model(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        found = catalogue.one(name, allowed(request), engine_of(request))
        if found is None:
            raise _unknown(name)
        return json_answer(openai(name, found))

    routes = [
        *probes.routes(public=True),
        web.get("/", welcome),
        *ollama.routes(catalogue, management, Templates(runners)),
        *dmr.routes(catalogue),
        *managing.routes(catalogue, management),
        *_anthropic_routes(catalogue),
    ]
    for prefix in ("", "/engines", "/engines/{engine}"):
        routes.append(web.get(f"{prefix}/v1/models", models))
        # A base URL that ends with a slash is a habit.
        routes.append(web.get(f"{prefix}/v1/models/", models))
        routes.append(web.get(f"{prefix}/v1/models/{{name:.+}}", model))
        routes.append(web.post(f"{prefix}/v1/images/generations", _images))
    return _application(routes)


def _anthropic_routes(catalogue: Catalogue) -> list[web.RouteDef]:
    """Lists of models in Anthropic's shape."""

    async def anthropic_models(request: web.Request) -> web.Response:
        found = catalogue.listed(allowed(request))
        data = [anthropic(name, model) for name, model in found]
        ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
        page = {"data": data, "has_more": False, "first_id": None, "last_id": None}
        return json_answer(page | ends)

    async def anthropic_model(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        found = catalogue.one(name, allowed(request))
        if found is None:
            raise _unknown(name)
        return json_answer(anthropic(name, found))

    return [
        web.get("/anthropic/v1/models", anthropic_models),
        web.get("/anthropic/v1/models/", anthropic_models),
        web.get("/anthropic/v1/models/{name:.+}", anthropic_model),
    ]


async def _images(request: web.Request) -> web.Response:
    engine_of(request)
    raise Refused(501, "unsupported_route", "No engine here makes images")


def _may_see_all(request: web.Request) -> bool:
    patterns = request.headers.get(MODELS_HEADER)
    return patterns is None or EVERYTHING in patterns.split()


def _unknown(name: str) -> Refused:
    told = f"The model `{name}` does not exist here: GET /v1/models lists those that do"
    return Refused(404, "model_not_found", told, "model")


def _application(routes: list[web.RouteDef]) -> web.Application:
    app = web.Application(client_max_size=_LARGEST_BODY, middlewares=[_in_dialect])
    app.add_routes(routes)
    app.on_response_prepare.append(_signed)
    return app


@web.middleware
async def _in_dialect(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Errors in the words of the client's family, as all others of the gateway are."""
    path = request.rel_url.raw_path
    dialect = dialect_of(path)
    try:
        return await handler(request)
    except Refused as refused:
        told = dialect.answer(
            refused.status,
            refused.code,
            refused.message,
            param=refused.param,
            retry_after=refused.retry_after,
        )
    except web.HTTPMethodNotAllowed as refused:
        told = _wrong_method(request, ", ".join(sorted(refused.allowed_methods)))
    except web.HTTPNotFound:
        if path in ROUTES:
            told = _wrong_method(request, "POST")
        else:
            told = dialect.answer(404, "not_found", f"There is nothing at {path}")
    except web.HTTPRequestEntityTooLarge:
        words = f"The body is larger than {_LARGEST_BODY} bytes, which no request at {path} needs"
        told = dialect.answer(413, "request_too_large", words)
    except web.HTTPException as refused:
        told = dialect.answer(refused.status, "invalid_request", refused.reason)
    except Exception:  # noqa: BLE001 - whatever a handler does, the client gets an answer
        _log.exception("%s failed", request.match_info.route.resource)
        told = dialect.answer(500, "internal_error", "The gateway failed; its log says how")
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in told.headers]
    return web.Response(status=told.status, body=told.body, headers=headers)


def _wrong_method(request: web.Request, allowed: str) -> Answer:
    path = request.rel_url.raw_path
    words = f"{request.method} is not possible at {path}; use {allowed}"
    told = dialect_of(path).answer(405, "method_not_allowed", words)
    told.headers.append((b"allow", allowed.encode("latin-1")))
    return told


async def _signed(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = SERVER
