"""What the back office's handlers share: whom they answer, and how."""

from functools import lru_cache
from typing import Any, Final

import msgspec
from aiohttp import web

from modelrunner.gateway.auth.globs import Globs
from modelrunner.gateway.auth.key import MANAGE
from modelrunner.gateway.backoffice.catalogue import Allowed
from modelrunner.gateway.dialects import Refused
from modelrunner.gateway.management.making import May
from modelrunner.gateway.management.management import Management
from modelrunner.gateway.routing.paths import ENGINES
from modelrunner.gateway.table.entry import ModelEntry

MODELS_HEADER: Final = "X-Modelrunner-Models"
SCOPES_HEADER: Final = "X-Modelrunner-Scopes"

_DISABLED: Final = (
    "Models are not managed through this API here, but as Model objects of Kubernetes: use "
    "kubectl, Helm or Argo CD, or set gateway.management.enabled in the chart's values"
)
_NO_SCOPE: Final = (
    f"The API key has not the scope `{MANAGE}`, which is needed to change models: make one with "
    "modelrunner api-key --scopes infer,manage"
)

# A list of a thousand models must not keep requests waiting.
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode
_globs: Final = lru_cache(maxsize=64)(Globs.parse)


def json_answer(body: dict[str, Any] | list[Any], status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=_encode(body), content_type="application/json", status=status)


async def body_of(request: web.Request) -> Any:
    """The JSON of a request's body.

    Raises:
        Refused: 400.
    """
    raw = await request.read()
    try:
        return _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        told = f"invalid request body: {error}" if raw else "the request has no body: send JSON"
        raise Refused(400, "invalid_request", told) from error


def engine_of(request: web.Request) -> str:
    """The engine that the path names, "" for none.

    Raises:
        Refused: 404 for one that nobody knows.
    """
    engine = request.match_info.get("engine", "")
    if engine and engine not in ENGINES:
        known = ", ".join(ENGINES)
        told = (
            f"There is no engine `{engine}` here: name one of {known}, or leave it out of the path"
        )
        raise Refused(404, "engine_not_found", told)
    return engine


def allowed(request: web.Request) -> Allowed:
    """Which models the client may know of."""
    patterns = request.headers.get(MODELS_HEADER)
    if patterns is None:
        return _any
    globs = _globs(patterns)
    return lambda model: globs.allow(model.namespace, model.name)


def may(request: web.Request) -> May:
    """Which Models, by namespace and name, the client may make or remove."""
    patterns = request.headers.get(MODELS_HEADER)
    return _everything if patterns is None else _globs(patterns).allow


def managing(request: web.Request, management: Management | None) -> Management:
    """What the client may manage Models with.

    Raises:
        Refused: 403 when that is off, or when its API key has not the scope.
    """
    if management is None:
        raise Refused(403, "management_disabled", _DISABLED)
    scopes = request.headers.get(SCOPES_HEADER)
    if scopes is not None and MANAGE not in scopes.split(","):
        raise Refused(403, "insufficient_scope", _NO_SCOPE)
    return management


def _everything(namespace: str, name: str) -> bool:
    del namespace, name
    return True


def _any(_: ModelEntry) -> bool:
    return True
