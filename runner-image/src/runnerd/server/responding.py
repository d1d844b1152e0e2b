"""OpenAI's Responses, put to an engine that speaks chat completions, and its answers."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import ClientResponse, web

from modelrunner_protocol.response_ids import PREFIX, mark
from runnerd.engines.supervisor import Supervisor
from runnerd.responses.asked import CHAT_PATH, Asked, asked
from runnerd.responses.events import Events
from runnerd.responses.frame import Frame, encode, output_of
from runnerd.responses.items import REFERENCE, Item, unknown_item
from runnerd.responses.members import AskedWronglyError, decoded
from runnerd.responses.messages import chat_messages
from runnerd.responses.spoken import piece_of
from runnerd.responses.store import Store, Turn
from runnerd.responses.stream import BROKEN, SHAPELESS, Stream
from runnerd.server import answers
from runnerd.server.checks import Checks
from runnerd.server.dialects import SERVER_ERROR, Dialect, Rejection
from runnerd.server.keep_alive import asked_keep_alive
from runnerd.server.proxy import Proxy
from runnerd.server.refusals import TOO_LONG, TOO_LONG_CODE, refusal
from runnerd.server.retelling import retell, whole
from runnerd.server.routes import Inference

_DEEPER: Final = 64
_EVENTS: Final = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that the engine may see.

    Attributes:
        asked: What it asks.
        sent: The body for the engine.
        items: Its input, references replaced by what they name.
        before: What it goes on from.
        frame: The response around what will be said.
        new_id: Makes IDs for what will be said.
        keep_alive: Seconds (negative: for ever) that were asked for, None when none were.
    """

    asked: Asked
    sent: bytes
    items: list[Item]
    before: Turn | None
    frame: Frame
    new_id: Callable[[str], str]
    keep_alive: float | None


class Responder:
    """Answers requests for responses, and keeps what is to be kept in `store`."""

    def __init__(
        self, model: str, checks: Checks, proxy: Proxy, engine: Supervisor, store: Store
    ) -> None:
        """`model`: its name where a request gives none."""
        self._model = model
        self._checks = checks
        self._proxy = proxy
        self._engine = engine
        self.store = store

    def prepared(self, request: web.BaseRequest, raw: bytes) -> Prepared | Rejection:
        """What a body asks, or what is wrong with it."""
        new_id = _identities(request)
        try:
            data = decoded(raw)
            name = data.get("model")
            if isinstance(name, str) and name and not self._known(request, name):
                return self._checks.unknown_model(name)
            keep_alive = asked_keep_alive(data)
            if isinstance(keep_alive, Rejection):
                return keep_alive
            found = asked(data, new_id)
            before = self._before(found.previous)
            items = [self._resolved(item) for item in found.items]
            history = before.history() if before is not None else []
            messages = chat_messages(found.instructions, [*history, *items])
            sent = _written({**found.body, "messages": messages})
        except AskedWronglyError as error:
            return error.found
        except RecursionError:
            return AskedWronglyError("The body is nested too deeply").found
        frame = Frame(
            new_id(PREFIX.rstrip("_")), found.model or self._model, int(time.time()), found.told
        )
        return Prepared(found, sent, items, before, frame, new_id, keep_alive)

    def _known(self, request: web.BaseRequest, name: str) -> bool:
        return self._checks.is_meant(request.headers) or self._checks.knows(name)

    async def answer(
        self, request: web.BaseRequest, route: Inference, found: Prepared, request_id: str
    ) -> web.StreamResponse:
        """The engine's answer as a response."""
        begun = await self._proxy.begin(request, route, CHAT_PATH, found.sent, request_id)
        if isinstance(begun, web.Response):
            return begun
        upstream, epoch = begun
        headers = {"Server": answers.SERVER, "X-Request-Id": request_id}
        try:
            if upstream.status == 200 and found.asked.stream:
                return await self._events(request, found, begun, headers)
            raw = await whole(upstream)
        finally:
            # Unless it was read to its end this closes the connection: the engine stops.
            upstream.close()
        if raw is None:
            return await self._proxy.lost(route.dialect, epoch)
        if upstream.status != 200:
            return answers.rejection(_refused(route, upstream.status, raw), route.dialect)
        return self._whole(found, raw, headers)

    def _whole(self, found: Prepared, raw: bytes, headers: dict[str, str]) -> web.Response:
        try:
            piece = piece_of(json.loads(raw), found.frame.top_logprobs)
            output = output_of(piece, found.new_id)
        except SHAPELESS:
            text = "the engine gave an answer that cannot be read"
            return answers.rejection(answers.engine_failure(text), Dialect.RESPONSES)
        if not piece.ended:
            return answers.rejection(answers.engine_failure(BROKEN), Dialect.RESPONSES)
        response = found.frame.ended(output, piece.reason, piece.usage, int(time.time()))
        told = self._kept(found, response)
        return web.Response(body=told, headers=headers, content_type="application/json")

    async def _events(
        self,
        request: web.BaseRequest,
        found: Prepared,
        begun: tuple[ClientResponse, int],
        headers: dict[str, str],
    ) -> web.StreamResponse:
        stream = Stream(
            Events(found.frame, found.new_id),
            found.frame.top_logprobs,
            now=lambda: int(time.time()),
            # Before the last event is sent: who has seen it may ask for the response.
            on_end=lambda response: self._kept(found, response),
        )
        return await retell(
            request,
            begun,
            stream,
            dialect=Dialect.RESPONSES,
            headers={**headers, "Content-Type": _EVENTS, "Cache-Control": "no-cache"},
            engine=self._engine,
            proxy=self._proxy,
        )

    def _kept(self, found: Prepared, response: dict[str, Any]) -> bytes:
        """The JSON of a response, which is kept if its client wants that."""
        told = encode(response).encode()
        if found.asked.store:
            self.store.put(response, told, found.items, found.before)
        return told

    def _before(self, identity: str) -> Turn | None:
        if not identity:
            return None
        turn = self.store.find(identity)
        if turn is None:
            raise AskedWronglyError(
                f"Previous response with id '{identity[:100]}' not found.",
                "previous_response_id",
                code="previous_response_not_found",
            )
        return turn

    def _resolved(self, item: Item) -> Item:
        if item["type"] != REFERENCE:
            return item
        found = self.store.item(item["id"])
        if found is None:
            raise unknown_item(item["id"])
        return found


def wrong(raw: bytes) -> Rejection | None:
    """What is wrong with a body, whatever engine it is for and whatever is kept."""
    try:
        asked(decoded(raw), lambda word: word)
    except AskedWronglyError as error:
        return error.found
    return None


def _identities(request: web.BaseRequest) -> Callable[[str], str]:
    """Makes IDs that tell the address at which the request came in."""
    transport = request.transport
    name = transport.get_extra_info("sockname") if transport is not None else None
    host, port = name[:2] if isinstance(name, tuple) else ("", 0)
    here = mark(host, port)
    return lambda word: f"{word}_{here}{os.urandom(12).hex()}"


def _written(body: dict[str, Any]) -> bytes:
    """The JSON of a body; a RecursionError for one that could not be repeated in an event, either.

    It is written some levels deeper than it is, since that happens later within other calls.
    """
    deep: Any = body
    for _ in range(_DEEPER):
        deep = [deep]
    return encode(deep)[_DEEPER:-_DEEPER].encode()


def _refused(route: Inference, status: int, raw: bytes) -> Rejection:
    """An engine's error in OpenAI's words."""
    if told := refusal(route, status, raw, CHAT_PATH):
        return told
    kind = SERVER_ERROR if status >= 500 else "invalid_request_error"
    try:
        error = json.loads(raw)["error"]
        message = str(error["message"])
        too_long = error.get("type") == TOO_LONG
    except SHAPELESS:
        message, too_long = raw[:1000].decode(errors="replace").strip(), False
    text = message or f"the engine answered with status {status}"
    if too_long:
        return Rejection(status, text, kind, TOO_LONG_CODE, "input")
    return Rejection(status, text, kind)
