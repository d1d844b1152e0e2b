"""All held requests of the process: a queue for each model that had any."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from modelrunner.gateway.hold.budget import Budget
from modelrunner.gateway.hold.meters import HoldMeters
from modelrunner.gateway.hold.queue import Queue, deleted
from modelrunner.gateway.hold.rests import Rests
from modelrunner.gateway.hold.runners import Runners
from modelrunner.gateway.hold.scaling import Scaler
from modelrunner.gateway.hold.waiting import Claim, Refusal
from modelrunner.gateway.messages import Decision, Endpoint, Failure
from modelrunner.gateway.table.entry import ModelEntry

_ENDING: Final = Refusal(
    503,
    "shutting_down",
    "This gateway is stopping: try again, another one answers",
    retry_after=1.0,
)


class Changes(Protocol):
    """Where changes of models are heard of: the route table."""

    def subscribe(self, callback: Callable[[ModelEntry], None]) -> Callable[[], None]:
        """Call after every change of an entry, its end included; returns the undoing."""
        ...


class Holds:
    """Make it in the running event loop; `close` before the loop ends.

    `queues` is public for the hot path: a model without a queue, or with an empty line, has
    nobody waiting. `max_bytes` bounds the bodies of all held requests together.
    """

    def __init__(
        self,
        changes: Changes,
        *,
        runners: Runners,
        scaler: Scaler,
        meters: HoldMeters,
        rests: Rests,
        max_bytes: int,
    ) -> None:
        self.queues: dict[ModelEntry, Queue] = {}
        self._runners = runners
        self._scaler = scaler
        self._meters = meters
        self._rests = rests
        self._budget = Budget(max_bytes)
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._unsubscribe = changes.subscribe(self._changed)

    @property
    def held(self) -> int:
        """Requests that wait now, for all models."""
        return sum(len(queue.line) for queue in self.queues.values())

    @property
    def held_bytes(self) -> int:
        """Memory that they take, as the bound counts it."""
        return self._budget.held

    def admit(self, entry: ModelEntry, claim: Claim, *, again: bool = False) -> Decision:
        """What to do with a request that no endpoint was found for (see Queue.admit)."""
        if self._closed:
            return claim.refuse(_ENDING)
        if entry.gone:
            return claim.refuse(deleted(entry))
        return self._queue(entry).admit(claim, again=again)

    def failed(self, entry: ModelEntry, endpoint: Endpoint, failure: Failure) -> None:
        """An endpoint gave a request no answer, and a request may go elsewhere: it rests."""
        if not entry.gone:
            self._queue(entry).failed(endpoint, failure)

    def freed(self, entry: ModelEntry) -> None:
        """A request of the model has ended: somebody else may go."""
        queue = self.queues.get(entry)
        if queue is not None and queue.line:
            queue.changed()

    def give_up(self) -> None:
        """Answer everybody with 503, and whoever comes later: the process ends."""
        self._closed = True
        for queue in self.queues.values():
            queue.give_up(_ENDING)

    async def close(self) -> None:
        """Give up, and wait until nothing runs."""
        self._unsubscribe()
        tasks = [task for queue in self.queues.values() for task in queue.tasks]
        self.give_up()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _queue(self, entry: ModelEntry) -> Queue:
        queue = self.queues.get(entry)
        if queue is None:
            queue = self.queues[entry] = Queue(
                entry,
                runners=self._runners,
                scaler=self._scaler,
                meters=self._meters,
                rests=self._rests,
                budget=self._budget,
            )
        return queue

    def _changed(self, entry: ModelEntry) -> None:
        queue = self.queues.get(entry)
        if queue is None:
            return
        queue.told()
        if entry.gone:
            # After the queue has told all who wait.
            self._loop.call_soon(self.queues.pop, entry, None)
