"""Every request of a stand-alone server comes in here."""

import logging
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from modelrunner_protocol import dmr
from modelrunner_protocol.origins import Origins, granted, preflight
from runnerd.logs import fields
from runnerd.server import answers
from runnerd.server.dialects import Dialect, reject
from runnerd.server.routes import clean
from runnerd.server.shelf import Shelf
from runnerd.standalone.inference import Inferences, Paths
from runnerd.standalone.pages import Page, RefusedError

log = logging.getLogger(__name__)

_ORIGIN: Final = "Origin"
_DOCKER: Final = ("/models", "/engines", "/logs")


class Front:
    """Looks where a page comes from, finds who answers, and sees to it that somebody does.

    Args:
        origins: The web pages that may call.
        inferences: Answer at the paths of models.
        pages: Answer at theirs; the first one that matches.
        shelf: Answers at `/` and Ollama's paths that are no page's.
    """

    def __init__(
        self, origins: Origins, inferences: Inferences, pages: Sequence[Page], shelf: Shelf
    ) -> None:
        self._origins = origins
        self._inferences = inferences
        self._pages = tuple(pages)
        self._shelf = shelf
        self._paths = Paths()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to any request; an error of ours is a 500 without its insides."""
        path = clean(request.rel_url.raw_path)
        try:
            if (origin := request.headers.get(_ORIGIN)) is not None:
                if not self._origins.allows(origin):
                    return answers.text_answer(403, "Origin not allowed")
                if request.method == "OPTIONS":
                    return web.Response(status=204, headers=preflight(origin, request.headers))
            return await self._dispatch(request, path)
        except (ConnectionError, web.HTTPException):
            raise
        except Exception:
            log.exception("a request failed", extra=fields(path=path[:200]))
            text = "the server failed at this request; its log tells more"
            return answers.rejection(answers.engine_failure(text, 500), _dialect(path))

    def sign(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """What every answer tells: which server this is, and to a page that it may read it."""
        response.headers[dmr.HEADER] = "true"
        # In place of the versions that aiohttp has put there.
        response.headers["Server"] = answers.SERVER
        origin = request.headers.get(_ORIGIN)
        if origin is not None and self._origins.allows(origin):
            response.headers.update(granted(origin))

    async def _dispatch(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        if found := self._paths.find(path):
            route, backend = found
            if request.method != "POST":
                return answers.wrong_method("POST", route.dialect)
            return await self._inferences.answer(request, route, backend)
        if self._paths.is_image(path):
            is_post = request.method == "POST"
            return answers.no_images() if is_post else answers.wrong_method("POST")
        told = await self._mounted(request, path)
        if told is None:
            told = await self._shelf.answer(request, path)
        if told is not None:
            return told
        text = f"There is nothing at {path[:200]}"
        return answers.rejection(reject(404, text, code="not_found"), _dialect(path))

    async def _mounted(self, request: web.BaseRequest, path: str) -> web.StreamResponse | None:
        """The answer of the first page that matches; None when none does."""
        for page in self._pages:
            if matched := page.pattern.fullmatch(path):
                try:
                    return await page.answer(request, matched)
                except RefusedError as refused:
                    return refused.answer(page.dialect)
        return None


def _dialect(path: str) -> Dialect:
    """Whose clients ask below a path."""
    if path.startswith("/api/"):
        return Dialect.OLLAMA
    if path.startswith("/anthropic/"):
        return Dialect.ANTHROPIC
    return Dialect.DOCKER if path.startswith(_DOCKER) else Dialect.OPENAI
