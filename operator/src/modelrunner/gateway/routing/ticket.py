"""The life of one request of a model: sent, held, sent elsewhere, ended."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from modelrunner.gateway.auth.key import ApiKey
from modelrunner.gateway.auth.limits import Limits
from modelrunner.gateway.dialects import Dialect
from modelrunner.gateway.hold.holds import Holds
from modelrunner.gateway.hold.rests import Rests
from modelrunner.gateway.hold.waiting import Claim, Refusal
from modelrunner.gateway.messages import (
    Answer,
    Decision,
    Endpoint,
    Failure,
    Forward,
    Headers,
    Outcome,
    Ticket,
)
from modelrunner.gateway.routing.ollama import empty_piece
from modelrunner.gateway.routing.paths import Route
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.gateway.telemetry.exchange import Exchange
from modelrunner.gateway.telemetry.meters import Meters

_RESETS: Final = 2
"""How often a request is sent again after a connection that ended without an answer: it may be the
request that ends the runner."""

_FINAL: Final = {
    Failure.TIMEOUT: Refusal(504, "upstream_timeout", "The runner did not begin to answer in time"),
    Failure.MALFORMED: Refusal(502, "bad_upstream_answer", "What the runner answered is not HTTP"),
    Failure.RESET: Refusal(
        502, "upstream_reset", "The runner ended the connection without an answer"
    ),
}
_COMPLETE: Final = Outcome.COMPLETE


@dataclass(frozen=True, slots=True)
class Desk:
    """What every request is handled with. `now` is the loop's clock."""

    holds: Holds
    rests: Rests
    limits: Limits
    meters: Meters
    now: Callable[[], float]


class Passage(Ticket, Claim):
    """A request that was let in; it leaves by `done`, `refuse` or `left`, once.

    `asked_for` is its model as the client named it, where the answer has to say so (Ollama's). For
    each endpoint that it is sent to there is a Passage of its own (`failed` makes the next
    one), so that an end that is told twice is counted once.
    """

    __slots__ = (
        "_desk",
        "_endpoint",
        "_entry",
        "_exchange",
        "_extra",
        "_key",
        "_resets",
        "_route",
        "_size",
        "asked_for",
    )

    def __init__(
        self,
        desk: Desk,
        exchange: Exchange,
        route: Route,
        entry: ModelEntry,
        key: ApiKey | None,
        size: int,
    ) -> None:
        self._desk = desk
        self._exchange = exchange
        self._route = route
        self._entry = entry
        self._key = key
        self._size = size
        self.waited = 0.0
        self.asked_for = ""
        self._endpoint: Endpoint | None = None
        self._resets = 0
        self._extra: Headers = []

    @property
    def arrived_at(self) -> float:
        """When its head was complete."""
        return self._exchange.received_at

    @property
    def size(self) -> int:
        """Bytes of its body."""
        return self._size

    @property
    def dialect(self) -> Dialect:
        """The client's."""
        return self._route.dialect

    @property
    def stream(self) -> bool:
        """Whether the client asked for a stream."""
        return self._exchange.stream

    @property
    def heartbeat(self) -> bytes:
        """What keeps its stream alive."""
        piece = self._route.piece
        return empty_piece(piece, self.asked_for) if piece else self.dialect.heartbeat

    def send(self, endpoint: Endpoint) -> Forward:
        """Go there."""
        self._endpoint = endpoint
        endpoint.in_flight += 1
        self._exchange.endpoint = endpoint.name
        return Forward(endpoint, self, None, self._extra)

    def forward(self, endpoint: Endpoint, *, cold: bool) -> Forward:
        """Go there after a wait."""
        self._exchange.held = self.waited
        if cold:
            self._extra = [(b"x-model-cold-start", b"%.3f" % self.waited)]
        return self.send(endpoint)

    def first_byte(self, status: int) -> None:
        """The answer's head is here."""
        desk, exchange = self._desk, self._exchange
        exchange.status = status
        exchange.first_byte_at = desk.now()
        if desk.rests.failing and self._endpoint is not None:
            desk.rests.answered(self._endpoint)

    def done(self, outcome: Outcome, tail: bytes) -> None:
        """The answer has ended."""
        endpoint = self._endpoint
        if endpoint is None:
            return
        self._endpoint = None
        endpoint.in_flight -= 1
        if outcome is not _COMPLETE:
            self._exchange.outcome = outcome.value
        self._leave(tail)

    def failed(self, failure: Failure) -> Decision:
        """No answer from there. Nothing of it reached the client, so it may go elsewhere."""
        endpoint, desk, entry = self._endpoint, self._desk, self._entry
        if endpoint is None:
            return self._answer(_FINAL[Failure.RESET])
        self._endpoint = None
        endpoint.in_flight -= 1
        resets = self._resets + (failure is Failure.RESET)
        if failure in {Failure.TIMEOUT, Failure.MALFORMED} or resets > _RESETS:
            desk.holds.freed(entry)
            return self.refuse(_FINAL[failure])
        desk.holds.failed(entry, endpoint, failure)
        return desk.holds.admit(entry, self._next(resets), again=True)

    def broken_event(self) -> bytes:
        """The last event of a stream whose runner broke off."""
        dialect = self.dialect
        told = "The runner ended the connection within its answer, which is not complete"
        return dialect.frame(dialect.error(502, "upstream_broken_off", told, None))

    def refuse(self, refusal: Refusal) -> Answer:
        """It ends with this error."""
        exchange = self._exchange
        exchange.status, exchange.code, exchange.endpoint = refusal.status, refusal.code, ""
        exchange.held = self.waited
        self._leave(b"")
        return self._answer(refusal)

    def _answer(self, refusal: Refusal) -> Answer:
        answer = self.dialect.answer(
            refusal.status,
            refusal.code,
            refusal.message,
            param=refusal.param,
            retry_after=refusal.retry_after,
            request_id=self._exchange.request_id,
        )
        if refusal.final:
            # openai-python and anthropic heed it; else they would ask twice more.
            answer.headers.append((b"x-should-retry", b"false"))
        return answer

    def left(self) -> None:
        """Its client went while it was held."""
        exchange = self._exchange
        exchange.endpoint = ""
        exchange.held = self.waited
        exchange.outcome = Outcome.CLIENT_LEFT.value
        self._leave(b"")

    def _leave(self, tail: bytes) -> None:
        desk = self._desk
        desk.limits.leave(self._key, self._entry)
        desk.meters.finished(self._exchange, desk.now(), tail)
        if desk.holds.queues:
            desk.holds.freed(self._entry)

    def _next(self, resets: int) -> "Passage":
        again = Passage(self._desk, self._exchange, self._route, self._entry, self._key, self._size)
        again.waited = self.waited
        again.asked_for = self.asked_for
        again._resets = resets
        again._extra = self._extra
        return again


class Errand(Ticket):
    """A request that the back office answers."""

    __slots__ = ("_desk", "_dialect", "_endpoint", "_exchange")

    def __init__(
        self, desk: Desk, exchange: Exchange, dialect: Dialect, endpoint: Endpoint
    ) -> None:
        self._desk = desk
        self._exchange = exchange
        self._dialect = dialect
        self._endpoint: Endpoint | None = endpoint
        endpoint.in_flight += 1

    def failed(self, failure: Failure) -> Decision:
        """It runs in this process: there is nowhere else to ask."""
        del failure
        return self._unanswered("internal_error", "The gateway could not answer: try again")

    def _unanswered(self, code: str, told: str) -> Answer:
        answer = self._dialect.answer(503, code, told, retry_after=1.0)
        self._exchange.status, self._exchange.code = answer.status, answer.code
        self._exchange.endpoint = ""
        self._end(b"")
        return answer

    def first_byte(self, status: int) -> None:
        """The answer's head is here."""
        self._exchange.status = status
        self._exchange.first_byte_at = self._desk.now()

    def done(self, outcome: Outcome, tail: bytes) -> None:
        """The answer has ended."""
        del tail
        self._exchange.outcome = outcome.value
        self._end(b"")

    def broken_event(self) -> bytes:
        """The last line of a pull whose end nobody will tell."""
        dialect = self._dialect
        told = "The gateway broke off its answer, which is not complete"
        return dialect.frame(dialect.error(502, "broken_off", told, None))

    def _end(self, tail: bytes) -> None:
        endpoint = self._endpoint
        if endpoint is not None:
            self._endpoint = None
            endpoint.in_flight -= 1
            self._desk.meters.finished(self._exchange, self._desk.now(), tail)


class Visit(Errand):
    """A request about what one runner keeps: there is no other to ask."""

    __slots__ = ()

    def failed(self, failure: Failure) -> Decision:
        """The runner does not answer."""
        del failure
        told = "The runner that keeps this response does not answer: try again"
        return self._unanswered("runner_unreachable", told)
