"""The pages of responses that are kept: one store for all engines of the server."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from runnerd.responses.store import Store
from runnerd.server.dialects import Dialect
from runnerd.server.kept import METHODS, told
from runnerd.standalone.pages import Handler, Page

_ANY: Final = r"(?:/engines(?:/[^/]+)?)?(?:/v1)?/responses/(?P<id>[^/]+)"


def response_pages(store: Store) -> tuple[Page, ...]:
    """Those at `…/responses/{id}` and below, under every prefix."""
    return tuple(
        Page(_ANY + below, dict.fromkeys(methods, _handler(store, below)), Dialect.RESPONSES)
        for below, methods in METHODS.items()
    )


def _handler(store: Store, below: str) -> Handler:
    async def handle(request: web.BaseRequest, groups: Mapping[str, str]) -> web.Response:
        return told(store, request, groups["id"], below)

    return handle
