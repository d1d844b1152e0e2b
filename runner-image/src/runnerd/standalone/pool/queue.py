"""Who waits for an engine that has no room yet: first come, first served."""

import asyncio

from runnerd.standalone.catalogue.stored import Stored
from runnerd.standalone.pages import RefusedError
from runnerd.standalone.pool.entry import Entry
from runnerd.standalone.pool.specification import Specification
from runnerd.standalone.pool.told import Key


class Ticket:
    """A place in the queue, of all who wait for the same engine.

    It is settled once `entry` or `failure` is set. The entry counts `clients` as its users then.
    `specification` is None until it is known what the engine is to be.
    """

    specification: Specification | None

    def __init__(self, stored: Stored, key: Key, name: str) -> None:
        self.stored = stored
        self.key = key
        self.name = name
        self.clients = 0
        self.specification = None
        self.entry: Entry | None = None
        self.failure: RefusedError | None = None
        self._settled = asyncio.Event()

    async def settled(self) -> None:
        """Wait for it."""
        await self._settled.wait()

    def grant(self, entry: Entry) -> None:
        """Here is the engine."""
        self.entry = entry
        entry.enter(self.clients)
        self._settled.set()

    def refuse(self, failure: RefusedError) -> None:
        """There is none."""
        self.failure = failure
        self._settled.set()


class Queue:
    """Tickets in their order; at most one for an engine."""

    def __init__(self) -> None:
        # A dict keeps the order in which its keys came.
        self._tickets: dict[Key, Ticket] = {}

    @property
    def first(self) -> Ticket | None:
        """Whose turn it is."""
        return next(iter(self._tickets.values()), None)

    def find(self, key: Key) -> Ticket | None:
        """The ticket for an engine."""
        return self._tickets.get(key)

    def add(self, ticket: Ticket) -> None:
        """It is the last one now."""
        self._tickets[ticket.key] = ticket

    def leave(self, ticket: Ticket) -> None:
        """One of those who wait has left before it was settled; the last one takes it along."""
        ticket.clients -= 1
        if not ticket.clients:
            self.remove(ticket)

    def remove(self, ticket: Ticket) -> None:
        """It is settled, or nobody wants it."""
        if self._tickets.get(ticket.key) is ticket:
            del self._tickets[ticket.key]

    def empty(self, failure: RefusedError) -> None:
        """Refuse all."""
        tickets, self._tickets = list(self._tickets.values()), {}
        for ticket in tickets:
            ticket.refuse(failure)
