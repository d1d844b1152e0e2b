"""What the back office's handlers share: whom they answer, and how."""

from functools import lru_cache
from typing import Any, Final

import msgspec
from aiohttp import web

from modelrunner.gateway.auth.globs import Globs
from modelrunner.gateway.backoffice.catalogue import Allowed
from modelrunner.gateway.table.entry import ModelEntry

MODELS_HEADER: Final = "X-Modelrunner-Models"

# A list of a thousand models must not keep requests waiting.
_encode: Final = msgspec.json.Encoder().encode
_globs: Final = lru_cache(maxsize=64)(Globs.parse)


class Refused(Exception):  # noqa: N818 - no fault of ours: it is what the client is told
    """A request that gets an error, in the dialect of its path."""

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.param = status, code, message, param


def json_answer(body: dict[str, Any]) -> web.Response:
    """A JSON answer."""
    return web.Response(body=_encode(body), content_type="application/json")


def allowed(request: web.Request) -> Allowed:
    """Which models the client may know of."""
    patterns = request.headers.get(MODELS_HEADER)
    if patterns is None:
        return _any
    globs = _globs(patterns)
    return lambda model: globs.allow(model.namespace, model.name)


def _any(_: ModelEntry) -> bool:
    return True
