"""One request that waits, and the order in which requests wait."""

from abc import ABC, abstractmethod
from asyncio import Future, TimerHandle
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from modelrunner.gateway.dialects import Dialect
from modelrunner.gateway.messages import Answer, Endpoint, Forward, Held, Outcome


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served. `retry_after` is in seconds.

    `final`: asking again helps nobody before somebody acts.
    """

    status: int
    code: str
    message: str
    param: str | None = None
    retry_after: float | None = None
    final: bool = False


class Claim(ABC):
    """What holding must know of a request.

    `waited` is how long it has been in lines so far, in seconds; the queue counts. Every claim that is held ends with exactly one of `forward`, `refuse` and `left`. After
    `forward` it may be held again, when the endpoint does not answer.
    """

    __slots__ = ("waited",)

    waited: float

    @property
    @abstractmethod
    def arrived_at(self) -> float:
        """When its head was complete, on the loop's clock."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Bytes of its body."""

    @property
    @abstractmethod
    def dialect(self) -> Dialect:
        """The client's."""

    @property
    @abstractmethod
    def stream(self) -> bool:
        """Whether the client asked for a stream."""

    @property
    def heartbeat(self) -> bytes:
        """What keeps its stream alive."""
        return self.dialect.heartbeat

    @abstractmethod
    def forward(self, endpoint: Endpoint, *, cold: bool) -> Forward:
        """Send it there. `cold`: it waited while no runner of its model was ready."""

    @abstractmethod
    def refuse(self, refusal: Refusal) -> Answer:
        """It ends with this error."""

    @abstractmethod
    def left(self) -> None:
        """Its client has gone."""


class Waiting(Held):
    """A claim in the line of one model. `order` is its place: earlier arrivals are smaller."""

    patience = 2.0
    interval = 10.0

    def __init__(
        self,
        claim: Claim,
        number: int,
        decided: Future[Forward | Answer],
        leave: Callable[["Waiting"], None],
    ) -> None:
        self.claim = claim
        self.number = number
        self.order = (claim.arrived_at, number)
        self.since = decided.get_loop().time()
        self.decided = decided
        self.stream = claim.stream
        self.media = claim.dialect.media
        self.heartbeat = claim.heartbeat
        self.timer: TimerHandle | None = None
        self._leave = leave
        decided.add_done_callback(self._abandoned)

    def leave(self) -> None:
        """The client is gone. What was decided for it in the same moment is undone."""
        if not self.decided.done():
            self._leave(self)
        elif not self.decided.cancelled():
            decision = self.decided.result()
            if isinstance(decision, Forward):
                decision.ticket.done(Outcome.CLIENT_LEFT, b"")

    def event(self, status: int, body: bytes) -> bytes:
        """What the stream is told that ends in this error."""
        return self.claim.dialect.event(status, body)

    def decide(self, decision: Forward | Answer) -> None:
        """End the wait."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self.decided.set_result(decision)

    def _abandoned(self, decided: Future[Forward | Answer]) -> None:
        # A task that is cancelled while it awaits the future cancels the future.
        if decided.cancelled():
            self._leave(self)


class Line:
    """Who waits for one model, first come first served.

    Sorted by arrival, since a request that comes back from an endpoint that did not answer goes
    to the place it had.
    """

    def __init__(self) -> None:
        self._waiting: list[Waiting] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, waiting: Waiting) -> bool:
        at = self._place(waiting)
        return at < len(self._waiting) and self._waiting[at] is waiting

    def join(self, waiting: Waiting) -> None:
        """Take its place."""
        if not self._waiting or self._waiting[-1].order < waiting.order:
            self._waiting.append(waiting)
        else:
            self._waiting.insert(self._place(waiting), waiting)

    @property
    def first(self) -> Waiting:
        """Whose turn it is. There must be one."""
        return self._waiting[0]

    def pop(self) -> Waiting:
        """The first, who waits no more."""
        return self._waiting.pop(0)

    def remove(self, waiting: Waiting) -> bool:
        """Give up a place; False when it had none."""
        if waiting not in self:
            return False
        del self._waiting[self._place(waiting)]
        return True

    def _place(self, waiting: Waiting) -> int:
        return bisect_left(self._waiting, waiting.order, key=lambda found: found.order)
