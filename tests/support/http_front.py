"""The HTTP front in the test's event loop, and a decider that does what the test says."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final

from modelrunner.gateway.http import Front, FrontSettings
from modelrunner.gateway.messages import (
    Answer,
    Decision,
    Endpoint,
    Failure,
    Forward,
    Outcome,
    Request,
    Ticket,
)
from tests.support.http_wire import Wire, until


@dataclass(eq=False)
class Note(Ticket):
    """A ticket that writes down what it is told; `answers` are what `failed` returns."""

    endpoint: Endpoint
    answers: deque[Decision] = field(default_factory=deque)
    failures: list[Failure] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    tail: bytes = b""
    event: bytes = b'data: {"error": "broken"}\n\n'
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def failed(self, failure: Failure) -> Decision:
        """Part of Ticket."""
        self.failures.append(failure)
        self.ended.set()
        return self.answers.popleft() if self.answers else Answer(502, failure.value.encode())

    def first_byte(self, status: int) -> None:
        """Part of Ticket."""
        self.statuses.append(status)

    def done(self, outcome: Outcome, tail: bytes) -> None:
        """Part of Ticket."""
        self.outcomes.append(outcome)
        self.tail = tail
        self.ended.set()

    def broken_event(self) -> bytes:
        """Part of Ticket."""
        return self.event


class Desk:
    """A decider: sends all to one endpoint, or does what `route` says."""

    def __init__(
        self, endpoint: Endpoint | None = None, route: Callable[[Request], Decision] | None = None
    ) -> None:
        self.endpoint = endpoint
        self.route = route
        self.requests: list[Request] = []
        self.notes: list[Note] = []
        self.bodies: list[bytes] = []

    def forward(self, endpoint: Endpoint | None = None) -> Forward:
        """To an endpoint, with a ticket that is kept in `notes`."""
        target = endpoint or self.endpoint
        assert target is not None
        note = Note(target)
        self.notes.append(note)
        return Forward(target, note)

    def decide(self, request: Request) -> Decision:
        """Part of Decider."""
        self.requests.append(request)
        self.bodies.append(request.body)
        return self.route(request) if self.route else self.forward()

    def refuse(self, path: str, status: int, code: str, message: str) -> Answer:
        """Part of Decider."""
        return Answer(status, f"{path} {message}".encode(), code=code)


@dataclass
class World:
    """A front that listens; `desk` decides. `wires` are closed at its end."""

    front: Front
    desk: Desk
    port: int
    wires: list[Wire] = field(default_factory=list)
    passed: float = 0.0

    async def wire(self) -> Wire:
        """A new connection to it."""
        wire = await Wire.open(self.port)
        self.wires.append(wire)
        return wire

    def pass_time(self, seconds: float) -> None:
        """Let the front believe that so much time has passed; see `CLOCK_BY_HAND`."""
        front = self.front
        self.passed += seconds
        front.sweep(front.loop.time() + self.passed)


CLOCK_BY_HAND: Final = 10_000.0
"""A `sweep_interval` in which no sweep comes by itself. A deadline that is set in it may be as much
later, so `pass_time` of it and a timeout ends what has lasted for longer than the timeout."""


@contextlib.asynccontextmanager
async def fronting(desk: Desk, settings: FrontSettings | None = None) -> AsyncIterator[World]:
    """A front for the time of a test; it must end with nothing left."""
    front = Front(desk, settings)
    world = World(front, desk, await front.listen("127.0.0.1", 0))
    try:
        yield world
    finally:
        for wire in world.wires:
            wire.close()
        await front.drain(0.0)
        await until(lambda: front.connections == 0)
        for wire in world.wires:
            with contextlib.suppress(ConnectionError):
                await wire.writer.wait_closed()
        assert front.in_flight == 0
        assert front.ledger.held == 0
