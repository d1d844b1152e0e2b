"""The pool: engines are loaded for whoever needs them, and go when nobody does."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager

from modelrunner_protocol.configure import Configuration, same_engine
from modelrunner_protocol.wire import Mode, RunConfig
from runnerd.config import ConfigError
from runnerd.logs import fields
from runnerd.server.served import Served
from runnerd.standalone.catalogue.stored import Stored
from runnerd.standalone.pages import RefusedError
from runnerd.standalone.pool import eviction, refusals
from runnerd.standalone.pool.configurations import Configurations
from runnerd.standalone.pool.entry import Entry
from runnerd.standalone.pool.queue import Queue, Ticket
from runnerd.standalone.pool.specification import Specification, Specifications
from runnerd.standalone.pool.staying import Staying
from runnerd.standalone.pool.told import Configured, Key, Running

log = logging.getLogger(__name__)


class Pool:
    """Engines by model and mode, as many at once as there are slots and memory for.

    Requests for a loaded engine go straight to it. All others wait in one line; at its
    head, room is made: what nobody uses goes at once, what is in use goes when it is idle, and
    nobody new may use it until then, so that nobody waits for ever.
    """

    def __init__(
        self,
        *,
        slots: int,
        budget: int | None,
        make: Callable[[RunConfig], Served],
        find: Callable[[str], Stored | None],
        default_keep_alive: float,
        max_waiting: int,
        wait_timeout: float,
        startup_timeout: float = 1800.0,
        stop_grace: float = 5.0,
        llama_args: str | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """Nothing is loaded yet.

        Args:
            slots: Engines at once.
            budget: Bytes of memory for all of them; None: nobody counts.
            make: Makes an engine that is not started; may raise ConfigError.
            find: The model that goes by a name; for draft models.
            default_keep_alive: Seconds that an idle engine stays; negative: for ever.
            max_waiting: How many may wait for engines to be loaded.
            wait_timeout: Seconds that one waits for room.
            startup_timeout: Seconds that an engine may take to be ready.
            stop_grace: Seconds between SIGTERM and SIGKILL for an engine.
            llama_args: LLAMA_ARGS, which change the need of memory.
            environment: The variables that `make` gives engines, which do so, too.
        """
        self._room = eviction.Room(slots, budget)
        self._make = make
        self._max_waiting = max_waiting
        self._wait_timeout = wait_timeout
        self._stop_grace = stop_grace
        self._specifications = Specifications(
            budget=budget,
            startup_timeout=startup_timeout,
            llama_args=llama_args,
            find=find,
            environment=environment,
        )
        self._configurations = Configurations()
        self._staying = Staying(self._configurations, default_keep_alive)
        self._entries: dict[Key, Entry] = {}
        self._leaving: dict[Entry, asyncio.Task[None]] = {}
        self._reserved: frozenset[Key] = frozenset()
        self._queue = Queue()
        self._waiting = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @asynccontextmanager
    async def lease(self, stored: Stored, mode: Mode, *, name: str) -> AsyncIterator[Served]:
        """Use an engine, which is loaded if need be; it stays as long as it is used.

        Raises:
            RefusedError: 429 when too many wait already; 503 when there was no room in time, or
                never will be, and when it could not be loaded; 404 for a draft model that is not
                there.
        """
        entry = await self._acquired(stored, Key(stored.identity, mode), name)
        try:
            yield entry.served
        finally:
            self._release(entry)

    async def preload(self, stored: Stored, mode: Mode, *, name: str) -> None:
        """Have an engine loaded; this returns when it is being loaded, or is.

        Nobody uses it yet, so that it can be configured anew, or make room for others.

        Raises:
            RefusedError: as `lease`, but for a load that fails later.
        """
        key = Key(stored.identity, mode)
        if self._open(key) is None:
            self._release(await self._from_the_line(stored, key, name))

    def configure(
        self, identity: str, configuration: Configuration, mode: Mode = Mode.COMPLETION
    ) -> None:
        """Say how a model is to run in a mode; what is not said stays as it was.

        An engine that is loaded with something else is unloaded. A keep_alive restarts nothing.

        Raises:
            RefusedError: 409, the engine is in use, or somebody waits for it; nothing was changed.
        """
        key = Key(identity, mode)
        merged = self._configurations.merged(key, configuration)
        governed = self._configurations.governed(key)
        entries = [entry for one in governed if (entry := self._entries.get(one))]
        tickets = [ticket for one in governed if (ticket := self._queue.find(one))]
        waited_for = [ticket.specification for ticket in tickets if ticket.specification]
        used = [entry.specification for entry in entries if entry.in_use]
        for one in (*waited_for, *used):
            if not same_engine(one.configuration, merged):
                raise refusals.already_active(one.name)
        self._configurations.put(key, merged)
        if configuration.keep_alive is not None:
            for entry in entries:
                entry.served.keep_alive = configuration.keep_alive
        for entry in entries:
            if not same_engine(entry.specification.configuration, merged):
                self._unload(entry, "configured anew")
        self._advance()

    def configurations(self, identity: str | None = None) -> list[Configured]:
        """What was said, of all models or of one."""
        return self._configurations.all(identity)

    def configuration(self, identity: str, mode: Mode) -> Configuration:
        """What is valid for a model in a mode."""
        return self._configurations.of(Key(identity, mode))

    @property
    def waiting(self) -> int:
        """How many wait for an engine to be loaded."""
        return self._waiting

    def running(self) -> list[Running]:
        """The engines that are loaded or being loaded."""
        return [self._staying.told(entry) for entry in self._entries.values()]

    def served(self) -> list[Served]:
        """The engines themselves."""
        return [entry.served for entry in self._entries.values()]

    async def unload(
        self,
        identities: Collection[str] | None = None,
        mode: Mode | None = None,
        *,
        force: bool = False,
    ) -> int:
        """Unload engines that nobody uses; those in use go when they are idle, or now by `force`.

        Args:
            identities: Of these models, None: of all.
            mode: In this mode, None: in all.
            force: Also those in use, which breaks off their answers.

        Returns:
            How many are gone.
        """
        going = []
        for key, entry in list(self._entries.items()):
            if identities is not None and key.identity not in identities:
                continue
            if mode not in {None, key.mode}:
                continue
            if entry.in_use and not force:
                entry.served.keep_alive = 0.0
            else:
                self._unload(entry, "asked for")
                going.append(self._leaving[entry])
        if going:
            await asyncio.wait(going)
        return len(going)

    def keep_alive(self, key: Key, seconds: float) -> None:
        """Let a loaded engine stay so long when it is idle, until it goes; negative: for ever."""
        if entry := self._entries.get(key):
            entry.served.keep_alive = seconds
            self._advance()

    def forget(self, identity: str) -> None:
        """Drop how a model is to run: it is deleted, or everything is to be as at first."""
        self._configurations.forget(identity)
        self._specifications.forget(identity)

    async def close(self, grace: float | None = None) -> None:
        """End all engines, each within `grace` seconds; whoever waits is refused."""
        self._closed = True
        if grace is not None:
            self._stop_grace = grace
        if self._timer:
            self._timer.cancel()
        self._queue.empty(refusals.stopping())
        for entry in list(self._entries.values()):
            self._unload(entry, "the server is stopping")
        if rest := {*self._leaving.values(), *self._tasks}:
            await asyncio.wait(rest)

    async def _acquired(self, stored: Stored, key: Key, name: str) -> Entry:
        """The engine, ready, with one user more."""
        entry = self._open(key)
        if entry is not None and entry.ready:
            entry.enter()
            return entry
        if self._waiting >= self._max_waiting:
            raise refusals.queue_full(self._max_waiting)
        self._waiting += 1
        try:
            if entry is None:
                entry = await self._from_the_line(stored, key, name)
            else:
                entry.enter()
            try:
                await entry.arrived()
            except BaseException:
                self._release(entry)
                raise
        finally:
            self._waiting -= 1
        return entry

    def _open(self, key: Key) -> Entry | None:
        """The engine, if whoever comes now may use it."""
        if self._closed:
            raise refusals.stopping()
        return None if key in self._reserved else self._entries.get(key)

    async def _from_the_line(self, stored: Stored, key: Key, name: str) -> Entry:
        """The engine, perhaps not ready, with one user more, once there is room for it."""
        ticket = self._joined(stored, key, name)
        try:
            async with asyncio.timeout(self._wait_timeout):
                await ticket.settled()
        except TimeoutError:
            # The engine may have come in the same moment.
            pass
        except BaseException:
            if ticket.entry:
                self._release(ticket.entry)
            else:
                self._give_up(ticket)
            raise
        if ticket.entry:
            return ticket.entry
        self._give_up(ticket)
        raise ticket.failure or self._no_room(ticket)

    def _joined(self, stored: Stored, key: Key, name: str) -> Ticket:
        """The ticket of all who wait for this engine; of the first one a new one."""
        ticket = self._queue.find(key)
        if ticket is None:
            ticket = Ticket(stored, key, name)
            self._queue.add(ticket)
            task = asyncio.create_task(self._specify(ticket))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        ticket.clients += 1
        return ticket

    async def _specify(self, ticket: Ticket) -> None:
        """Find out what the engine is to be, by all that was said until then."""
        try:
            while ticket.specification is None:
                configuration = self._configurations.of(ticket.key)
                made = await self._specifications.make(
                    ticket.stored, ticket.key.mode, configuration, name=ticket.name
                )
                if self._configurations.of(ticket.key) is configuration:
                    ticket.specification = made
        except RefusedError as error:
            ticket.refuse(error)
        except Exception:
            log.exception("a model cannot be looked at", extra=fields(model=ticket.name))
            ticket.refuse(refusals.ours())
        if ticket.failure:
            self._queue.remove(ticket)
        self._advance()

    def _no_room(self, ticket: Ticket) -> RefusedError:
        places = [
            (entry.specification.name, entry.specification.needs.total)
            for entry in (*self._entries.values(), *self._leaving)
        ]
        needs = ticket.specification.needs if ticket.specification else None
        return refusals.no_room(ticket.name, needs, loaded=places, room=self._room)

    def _give_up(self, ticket: Ticket) -> None:
        self._queue.leave(ticket)
        self._advance()

    def _release(self, entry: Entry) -> None:
        entry.leave()
        if not entry.in_use:
            self._advance()

    def _advance(self) -> None:
        """Let in who waits, as far as there is room, and make room for the next one."""
        if self._closed:
            return
        reserved: frozenset[Key] = frozenset()
        while ticket := self._queue.first:
            if entry := self._entries.get(ticket.key):
                self._queue.remove(ticket)
                ticket.grant(entry)
                continue
            specification = ticket.specification
            if specification is None:
                break
            plan = eviction.plan(self._places(), specification.needs.total, self._room)
            if not plan.ready:
                for entry in plan.unload:
                    self._unload(entry, "room is needed")
                reserved = frozenset(entry.specification.key for entry in plan.reserve)
                break
            self._queue.remove(ticket)
            self._start(ticket, specification)
        self._reserved = reserved
        self._set_timer()

    def _places(self) -> list[eviction.Place[Entry]]:
        return [
            eviction.Place(
                key=entry,
                size=entry.specification.needs.total,
                last_used=entry.idle_since,
                in_use=entry.in_use > 0,
                forever=self._staying.keep_alive(entry) < 0,
                leaving=entry.leaving,
            )
            for entry in (*self._entries.values(), *self._leaving)
        ]

    def _start(self, ticket: Ticket, specification: Specification) -> None:
        try:
            served = self._make(specification.config)
        except (ConfigError, OSError) as error:
            ticket.refuse(refusals.wrong_settings(specification.name, error))
            return
        entry = Entry(specification, served, broken=self._retire, loaded=self._advance)
        self._entries[specification.key] = entry
        ticket.grant(entry)

    def _unload(self, entry: Entry, why: str) -> None:
        log.info("unloading", extra=fields(model=entry.specification.name, why=why))
        entry.dismiss()

    def _retire(self, entry: Entry) -> None:
        """Nobody new gets it; its memory is free once it is gone."""
        key = entry.specification.key
        if self._entries.get(key) is entry:
            del self._entries[key]
        self._leaving[entry] = asyncio.create_task(self._end(entry))

    async def _end(self, entry: Entry) -> None:
        try:
            await entry.stop(self._stop_grace)
        finally:
            del self._leaving[entry]
            self._advance()

    def _set_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        expiries = [self._staying.expiry(entry) for entry in self._entries.values()]
        times = [at for at in expiries if at is not None]
        if times:
            self._timer = asyncio.get_running_loop().call_at(min(times), self._expire)

    def _expire(self) -> None:
        now = asyncio.get_running_loop().time()
        for entry in list(self._entries.values()):
            at = self._staying.expiry(entry)
            if at is not None and at <= now:
                self._unload(entry, "keep_alive")
        self._set_timer()
