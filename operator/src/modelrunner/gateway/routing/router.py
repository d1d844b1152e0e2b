"""The Decider: what happens to each request, in the order of DESIGN §7.

path ──▶ key ──▶ model ──▶ may this key use it ──▶ limits ──▶ a ready runner? send it : hold it
  └──▶ back office
"""

import asyncio
from typing import Final

from modelrunner.gateway.auth.key import INFER, ApiKey
from modelrunner.gateway.auth.keyring import KeyRing
from modelrunner.gateway.auth.limits import Limits
from modelrunner.gateway.auth.presented import presented_key
from modelrunner.gateway.dialects import OLLAMA, Dialect, dialect_of
from modelrunner.gateway.hold.holds import Holds
from modelrunner.gateway.hold.rests import Rests
from modelrunner.gateway.messages import Answer, Decision, Endpoint, Forward, Request
from modelrunner.gateway.routing.body import Peek, Unreadable
from modelrunner.gateway.routing.ollama import Question, unloaded
from modelrunner.gateway.routing.paths import (
    BACK_OFFICE,
    ENGINES,
    KEPT,
    OPEN_PATHS,
    ROUTES,
    Route,
    unknown_engine,
)
from modelrunner.gateway.routing.responses import FollowUp, KeptPath, keeper, kept_path
from modelrunner.gateway.routing.ticket import Desk, Errand, Passage, Visit
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.gateway.table.table import RouteTable
from modelrunner.gateway.telemetry.exchange import Exchange
from modelrunner.gateway.telemetry.meters import Meters
from modelrunner_protocol.ollama import unknown_model
from modelrunner_protocol.wire import RESOLVED_HEADER

MODELS_HEADER: Final = b"x-modelrunner-models"
"""Tells the back office which models the key may see, as globs; absent: all."""

SCOPES_HEADER: Final = b"x-modelrunner-scopes"
"""Tells the back office what the key is for, by comma; absent: everything."""

_RESOLVED: Final = RESOLVED_HEADER.lower().encode()
_OWN_HEADERS: Final = b"x-modelrunner-"
_SHOWN: Final = 200
_WHILE: Final = "a runner keeps responses for an hour, and not while its model sleeps"


class Router:
    """Make it in the running event loop. `keys` is None where no keys are asked for.

    `back_office` answers what no model does; `rests` is the one that `holds` has.
    """

    def __init__(
        self,
        table: RouteTable,
        *,
        holds: Holds,
        rests: Rests,
        limits: Limits,
        meters: Meters,
        back_office: Endpoint,
        keys: KeyRing | None = None,
    ) -> None:
        self._table = table
        self._keys = keys
        self._back_office = back_office
        self._holds = holds
        self._now = asyncio.get_running_loop().time
        self._meters = meters
        self._limits = limits
        self._desk = Desk(holds, rests, limits, meters, self._now)

    def decide(self, request: Request) -> Decision:
        """What to do with a request. Never raises for what a client may send."""
        route = ROUTES.get(request.path)
        if route is None or request.method != "POST":
            return self._elsewhere(request, route)
        key = None
        if self._keys is not None:
            found = self._authenticated(self._keys, request, route.name, route.dialect)
            if isinstance(found, Answer):
                return found
            key = found
        try:
            asked = route.read(request.body)
        except Unreadable as error:
            return self._unreadable(request, route, error)
        return self._to_model(request, route, key, asked)

    def refuse(self, path: str, status: int, code: str, message: str) -> Answer:
        """An error of the front in the dialect of `path`."""
        self._meters.refused(code)
        retry_after = 1.0 if status in {429, 503} else None
        return dialect_of(path).answer(status, code, message, retry_after=retry_after)

    def _to_model(
        self, request: Request, route: Route, key: ApiKey | None, asked: Peek
    ) -> Decision:
        name = asked.model
        entry = self._table.find(name) if name else None
        if entry is None or (key is not None and not key.may_use(entry)):
            return self._no_model(request, route, key, name, entry)
        if route.engine and entry.engine and route.engine != entry.engine:
            return self._wrong_engine(request, route, entry)
        if not (entry.ready or entry.starting) and (
            answer := self._asleep(request, route, key, entry, asked)
        ):
            return answer
        if refusal := self._limits.enter(key, entry):
            return self._refused(
                request,
                route.name,
                route.dialect,
                429,
                refusal.code,
                refusal.message,
                retry_after=refusal.retry_after,
                entry=entry,
            )
        exchange = _exchange(request, route.name, route.dialect)
        exchange.entry = entry
        exchange.stream = route.streams and bool(
            asked.stream or (route.piece and asked.stream is None)
        )
        if key is not None:
            exchange.key = key.name
        passage = Passage(self._desk, exchange, route, entry, key, len(request.body))
        if route.piece:
            passage.asked_for = name or ""
        return self._sent(request, asked, entry, passage)

    def _sent(self, request: Request, asked: Peek, entry: ModelEntry, passage: Passage) -> Decision:
        """Send a request that may go, or let it wait."""
        if asked.model != entry.name:
            request.headers.append((_RESOLVED, entry.path.encode()))
        now = self._now()
        # Where nobody else can answer there is no line to wait in.
        endpoint = (
            asked.keeper(request.body, entry.ready, now) if isinstance(asked, FollowUp) else None
        )
        if endpoint is None:
            queue = self._holds.queues.get(entry)
            if queue is None or not queue.line:
                endpoint = entry.pick(now)
        if endpoint is not None and endpoint.rests_until <= now:
            return passage.send(endpoint)
        return self._holds.admit(entry, passage)

    def _asleep(
        self,
        request: Request,
        route: Route,
        key: ApiKey | None,
        entry: ModelEntry,
        asked: Peek,
    ) -> Answer | None:
        """The answer to a request that a model is not woken for."""
        if isinstance(asked, Question) and asked.unloads:
            return self._unloaded(request, route, key, entry, asked.model or "")
        if isinstance(asked, FollowUp) and asked.follows(request.body):
            return self._not_kept(request, route, entry, asked)
        return None

    def _elsewhere(self, request: Request, route: Route | None) -> Decision:
        path = request.path
        if route is None and "/responses/" in path and (kept := kept_path(path)):
            return self._to_keeper(request, kept)
        if route is not None:
            told = f"{path} takes POST, not {request.method[:20]}"
            answer = self._refused(
                request, route.name, route.dialect, 405, "method_not_allowed", told
            )
            answer.headers.append((b"allow", b"POST"))
            return answer
        if path.startswith("/engines/") and (found := unknown_engine(path)):
            engine, route = found
            told = (
                f"There is no engine `{engine[:_SHOWN]}` here: name one of {', '.join(ENGINES)}, "
                "or leave it out of the path"
            )
            return self._refused(request, route.name, route.dialect, 404, "engine_not_found", told)
        return self._to_back_office(request, dialect_of(path))

    def _to_keeper(self, request: Request, path: KeptPath) -> Decision:
        """To the runner that keeps a response: only it can tell, or delete it."""
        name, dialect = KEPT.name, KEPT.dialect
        if request.method not in path.methods:
            allowed = ", ".join(path.methods)
            told = f"{request.path[:_SHOWN]} takes {allowed}, not {request.method[:20]}"
            answer = self._refused(request, name, dialect, 405, "method_not_allowed", told)
            answer.headers.append((b"allow", allowed.encode()))
            return answer
        key = None
        if self._keys is not None:
            authenticated = self._authenticated(self._keys, request, name, dialect)
            if isinstance(authenticated, Answer):
                return authenticated
            key = authenticated
        found = keeper(self._table.models(), path, key)
        if found is None:
            told = f"Response with id '{path.identity[:_SHOWN]}' not found: {_WHILE}"
            return self._refused(
                request, name, dialect, 404, "not_found", told, param="id", key=key
            )
        exchange = _exchange(request, name, dialect)
        exchange.entry, endpoint = found
        exchange.key = key.name if key is not None else ""
        exchange.endpoint = endpoint.name
        return Forward(endpoint, Visit(self._desk, exchange, dialect, endpoint))

    def _not_kept(
        self, request: Request, route: Route, entry: ModelEntry, asked: FollowUp
    ) -> Answer:
        """A model that sleeps keeps nothing, so it is not woken in order to say so."""
        if previous := asked.previous_response_id:
            status, code, param = 400, "previous_response_not_found", "previous_response_id"
            told = f"Previous response with id '{previous[:_SHOWN]}' not found: {_WHILE}"
        else:
            status, code, param = 404, "not_found", "input"
            told = f"An item that the input refers to was not found: {_WHILE}"
        return self._refused(
            request, route.name, route.dialect, status, code, told, param=param, entry=entry
        )

    def _to_back_office(self, request: Request, dialect: Dialect) -> Decision:
        key = None
        if self._keys is not None and request.path not in OPEN_PATHS:
            found = self._authenticated(self._keys, request, BACK_OFFICE, dialect)
            if isinstance(found, Answer):
                return found
            key = found
        # In place: the front sends these headers.
        request.headers[:] = [
            header for header in request.headers if not header[0].startswith(_OWN_HEADERS)
        ]
        if key is not None:
            request.headers.append((MODELS_HEADER, key.models.text.encode()))
            request.headers.append((SCOPES_HEADER, ",".join(sorted(key.scopes)).encode()))
        exchange = _exchange(request, BACK_OFFICE, dialect)
        exchange.key = key.name if key is not None else ""
        exchange.endpoint = self._back_office.name
        ticket = Errand(self._desk, exchange, dialect, self._back_office)
        return Forward(self._back_office, ticket)

    def _authenticated(
        self, keys: KeyRing, request: Request, route: str, dialect: Dialect
    ) -> ApiKey | Answer:
        presented = presented_key(request.headers)
        key = keys.find(presented) if presented is not None else None
        if key is None:
            code = "missing_api_key" if presented is None else "invalid_api_key"
            why = keys.why_not(presented)
            told = f"{why[:1].upper()}{why[1:]}"
            answer = self._refused(request, route, dialect, 401, code, told)
            answer.headers.append((b"www-authenticate", b"Bearer"))
            return answer
        if INFER not in key.scopes and route != BACK_OFFICE:
            told = f"The API key {key.name} has not the scope `{INFER}`"
            return self._refused(request, route, dialect, 403, "insufficient_scope", told, key=key)
        return key

    def _no_model(
        self,
        request: Request,
        route: Route,
        key: ApiKey | None,
        name: str | None,
        entry: ModelEntry | None,
    ) -> Answer:
        shown = (name or "")[:_SHOWN]
        if not name:
            status, code = 400, "model_required"
            told = "Say which `model` is asked: GET /v1/models lists those that there are"
            if route.dialect is OLLAMA:
                told = "model is required: GET /api/tags lists those that there are"
        elif entry is None:
            status, code = 404, "model_not_found"
            told = f"The model `{shown}` does not exist here: GET /v1/models lists those that do"
            if route.dialect is OLLAMA:
                told = unknown_model(shown)
        else:
            status, code = 403, "model_not_allowed"
            told = f"The API key {key.name if key else ''} may not use the model `{shown}`"
        return self._refused(
            request, route.name, route.dialect, status, code, told, param="model", key=key
        )

    def _unloaded(
        self, request: Request, route: Route, key: ApiKey | None, entry: ModelEntry, name: str
    ) -> Answer:
        """A model that sleeps is not woken in order to be sent to sleep."""
        exchange = _exchange(request, route.name, route.dialect)
        exchange.status, exchange.entry = 200, entry
        exchange.key = key.name if key is not None else ""
        self._meters.finished(exchange, self._now())
        return Answer(200, unloaded(route.piece, name), [(b"content-type", b"application/json")])

    def _wrong_engine(self, request: Request, route: Route, entry: ModelEntry) -> Answer:
        told = (
            f"The model {entry.path} runs on {entry.engine}, not on {route.engine}: "
            f"ask at /engines/{entry.engine}/…, or leave the engine out of the path"
        )
        return self._refused(
            request, route.name, route.dialect, 400, "wrong_engine", told, entry=entry
        )

    def _unreadable(self, request: Request, route: Route, error: Unreadable) -> Answer:
        status, code, told = 400, "invalid_request", error.message
        if encoding := request.header(b"content-encoding"):
            status, code = 415, "unsupported_encoding"
            shown = encoding[:_SHOWN].decode("latin-1")
            told = f"Content-Encoding {shown} is not understood here: send plain JSON"
        return self._refused(
            request, route.name, route.dialect, status, code, told, param=error.param
        )

    def _refused(
        self,
        request: Request,
        route: str,
        dialect: Dialect,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after: float | None = None,
        entry: ModelEntry | None = None,
        key: ApiKey | None = None,
    ) -> Answer:
        exchange = _exchange(request, route, dialect)
        exchange.status, exchange.code = status, code
        exchange.entry = entry
        exchange.key = key.name if key is not None else ""
        self._meters.finished(exchange, self._now())
        return dialect.answer(
            status,
            code,
            message,
            param=param,
            retry_after=retry_after,
            request_id=request.id,
        )


def _exchange(request: Request, route: str, dialect: Dialect) -> Exchange:
    return Exchange(
        request.id, request.client, request.method, route, dialect.name, request.received_at
    )
