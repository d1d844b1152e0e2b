"""Responses that are kept: to be read, listed and deleted by their ID."""

import re
from typing import Final

from aiohttp import web

from runnerd.responses.frame import encode
from runnerd.responses.listing import page
from runnerd.responses.members import AskedWronglyError
from runnerd.responses.store import Store, Turn
from runnerd.server import answers
from runnerd.server.dialects import Dialect, Rejection, reject
from runnerd.server.routes import prefixes

ITEMS: Final = "/input_items"
CANCEL: Final = "/cancel"
METHODS: Final = {"": ("GET", "HEAD", "DELETE"), ITEMS: ("GET", "HEAD"), CANCEL: ("POST",)}
"""What may be asked at `…/responses/{id}`, and at what follows it."""


class Kept:
    """Answers at `…/responses/{id}` and below."""

    def __init__(self, store: Store, engine: str) -> None:
        self._store = store
        before = "|".join(re.escape(prefix) for prefix in prefixes(engine))
        self._path = re.compile(rf"(?:{before})(?:/v1)?/responses/([^/]+)({ITEMS}|{CANCEL})?")

    def answer(self, request: web.BaseRequest, path: str) -> web.Response | None:
        """The answer at one of the paths, None for another path."""
        found = self._path.fullmatch(path)
        if found is None:
            return None
        identity, below = found[1], found[2] or ""
        if request.method not in METHODS[below]:
            return answers.wrong_method(", ".join(METHODS[below]), Dialect.RESPONSES)
        return told(self._store, request, identity, below)


def told(store: Store, request: web.BaseRequest, identity: str, below: str) -> web.Response:
    """The answer about one response, with one of the methods that there are."""
    turn = store.find(identity)
    if turn is None:
        return _refused(unknown_response(identity))
    if below == CANCEL:
        text = "A response that was not made in the background cannot be cancelled"
        return _refused(reject(400, text, param="id"))
    if below == ITEMS:
        return _items(request, turn)
    if request.method == "DELETE":
        store.delete(identity)
        gone = {"id": identity, "object": "response.deleted", "deleted": True}
        return answers.json_answer(200, gone)
    return _response(request, turn)


def unknown_response(identity: str) -> Rejection:
    """404 for a response that is not kept here, or not any more."""
    text = f"Response with id '{identity[:100]}' not found: responses are kept for an hour"
    return reject(404, text, code="not_found", param="id")


def _response(request: web.BaseRequest, turn: Turn) -> web.Response:
    if request.query.get("stream") == "true":
        text = "A response that was not made in the background cannot be streamed again"
        return _refused(reject(400, text, param="stream"))
    return _json(turn.response)


def _items(request: web.BaseRequest, turn: Turn) -> web.Response:
    """All that the model was given, what was said before included, as OpenAI lists it."""
    before = turn.before.history() if turn.before is not None else []
    try:
        return _json(encode(page([*before, *turn.input_items()], request.query)).encode())
    except AskedWronglyError as error:
        return _refused(error.found)


def _json(body: bytes) -> web.Response:
    headers = {"Server": answers.SERVER}
    return web.Response(body=body, content_type="application/json", headers=headers)


def _refused(found: Rejection) -> web.Response:
    return answers.rejection(found, Dialect.RESPONSES)
