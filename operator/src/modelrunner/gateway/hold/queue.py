"""The requests that wait for one model, and when each of them goes.

    admit ──▶ Forward                 a runner is free: nobody waits
         ├──▶ Answer                  deleted, hopeless, or too many wait
         └──▶ Waiting ──▶ Line ──▶ Forward | Answer     by `_advance`, first come first served

Everything that may change a decision (an arrival, an end, the route table, a runner's answer)
asks for one `_advance`, which runs once in the loop's next turn however many asked.
"""

import asyncio
from typing import Final

from modelrunner.gateway.hold.budget import Budget
from modelrunner.gateway.hold.meters import HoldMeters
from modelrunner.gateway.hold.prober import Prober
from modelrunner.gateway.hold.reports import Reporter
from modelrunner.gateway.hold.rests import Rests
from modelrunner.gateway.hold.runner_pods import RunnerPods
from modelrunner.gateway.hold.runners import Readiness, Runners
from modelrunner.gateway.hold.scaling import Scaler
from modelrunner.gateway.hold.standing import hopeless, queue_full, standing, too_late
from modelrunner.gateway.hold.waiting import Claim, Line, Refusal, Waiting
from modelrunner.gateway.hold.wake import Wake, can_wake
from modelrunner.gateway.messages import Decision, Endpoint, Failure
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner_protocol.reasons import Reason

_FULL_RETRY: Final = 2.0
_LATE_RETRY: Final = 10.0
_HOPELESS_RETRY: Final = 60.0


class Queue:
    """Lives as long as its model, from the first request that had to wait on."""

    def __init__(
        self,
        entry: ModelEntry,
        *,
        runners: Runners,
        scaler: Scaler,
        meters: HoldMeters,
        rests: Rests,
        budget: Budget,
    ) -> None:
        self.line = Line()
        self._entry = entry
        self._scaler = scaler
        self._meters = meters
        self._budget = budget
        self._loop = asyncio.get_running_loop()
        self._pods = RunnerPods(entry, rests)
        self._prober = Prober(runners, self._learned)
        self._reporter = Reporter(runners, self._listener, lambda: len(self.line))
        self._wake: Wake | None = None
        self._arrivals = 0
        self._cold_until = 0
        self._scheduled = False

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """What runs for the queue now."""
        others = (self._reporter.task, self._wake.task if self._wake else None)
        return [*self._prober.tasks, *(task for task in others if task is not None)]

    def admit(self, claim: Claim, *, again: bool = False) -> Decision:
        """What to do with a request that no endpoint was found for.

        `again`: it had a place before, or an endpoint that did not answer. Its place is kept: the
        bounds are for newcomers.
        """
        refusal = self._in_vain()
        if refusal is None and not again:
            refusal = self._too_much(claim.size)
        if refusal is not None:
            return claim.refuse(refusal)
        if not self.line and (free := self._pods.usable(self._loop.time())):
            return claim.forward(min(free, key=_load), cold=False)
        return self._join(claim)

    def failed(self, endpoint: Endpoint, failure: Failure) -> None:
        """An endpoint of the model gave a request no answer."""
        self._pods.failed(endpoint, failure, self._loop.time())
        self.changed()

    def told(self) -> None:
        """The route table has changed for the model."""
        # At once: that a pod was ready for a moment counts.
        self._pods.refresh()
        self.changed()

    def changed(self) -> None:
        """Look again, in the loop's next turn."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._advance)

    def give_up(self, refusal: Refusal) -> None:
        """Answer all who wait: the process ends."""
        self._refuse_all(refusal)
        self._quiet()
        self._reporter.stop()
        if self._wake is not None:
            self._wake.task.cancel()

    def _join(self, claim: Claim) -> Waiting:
        self._arrivals += 1
        waiting = Waiting(claim, self._arrivals, self._loop.create_future(), self._left)
        patience = self._entry.hold_timeout - claim.waited
        waiting.timer = self._loop.call_later(patience, self._expired, waiting)
        self.line.join(waiting)
        self._budget.take(claim.size)
        self._meters.held(self._entry, 1)
        self.changed()
        return waiting

    def _out(self, waiting: Waiting) -> Claim:
        """It waits no more."""
        waiting.claim.waited += self._loop.time() - waiting.since
        self._budget.give(waiting.claim.size)
        self._meters.held(self._entry, -1)
        return waiting.claim

    def _left(self, waiting: Waiting) -> None:
        if self.line.remove(waiting):
            if waiting.timer is not None:
                waiting.timer.cancel()
            self._out(waiting).left()
            self.changed()

    def _expired(self, waiting: Waiting) -> None:
        waiting.timer = None
        if not self.line.remove(waiting):
            return
        state = standing(
            self._entry,
            wake_trouble=self._wake.trouble if self._wake else "",
            runners=self._pods.words(),
        )
        claim = self._out(waiting)
        told = too_late(self._entry, claim.waited, state)
        refusal = Refusal(503, "model_not_ready", told, retry_after=_LATE_RETRY)
        waiting.decide(claim.refuse(refusal))
        self.changed()

    def _in_vain(self) -> Refusal | None:
        """Why waiting cannot help; None when it may."""
        entry, trouble = self._entry, self._entry.trouble
        if entry.gone:
            return deleted(entry)
        if trouble is None or not trouble.hopeless or entry.ready:
            return None
        if trouble.reason == Reason.TERMINATING:
            return deleted(entry)
        told = hopeless(entry)
        return Refusal(503, trouble.reason, told, retry_after=_HOPELESS_RETRY, final=True)

    def _too_much(self, size: int) -> Refusal | None:
        """Why a newcomer with a body of `size` bytes may not wait; None when it may."""
        if not self.line and self._pods.usable(self._loop.time()):
            return None
        if len(self.line) >= self._entry.max_held:
            return Refusal(429, "queue_full", queue_full(self._entry), retry_after=_FULL_RETRY)
        if not self._budget.fits(size):
            told = "All requests that wait hold too much memory together: try again"
            return Refusal(503, "too_much_held", told, retry_after=_FULL_RETRY)
        return None

    def _refuse_all(self, refusal: Refusal) -> None:
        while self.line:
            waiting = self.line.pop()
            waiting.decide(self._out(waiting).refuse(refusal))

    def _advance(self) -> None:
        self._scheduled = False
        if refusal := self._in_vain():
            self._refuse_all(refusal)
        self._judge_wake(self._release())
        if not self.line:
            self._quiet()
            return
        self._prober.ask(self._pods.unknown(self._loop.time()))
        self._reporter.start()

    def _release(self) -> bool:
        """Send the first ones where there is room; returns whether any runner takes requests."""
        now = self._loop.time()
        usable = self._pods.usable(now)
        if not self._entry.ready:
            # Whoever waits now waits for a runner that has to come up first.
            self._cold_until = self._arrivals
        while self.line:
            roomy = [one for one in usable if self._pods.room(one) > 0]
            if not roomy:
                break
            waiting = self.line.pop()
            self._forward(waiting, min(roomy, key=_load))
        return bool(usable)

    def _forward(self, waiting: Waiting, endpoint: Endpoint) -> None:
        cold = waiting.number <= self._cold_until
        waiting.decide(self._out(waiting).forward(endpoint, cold=cold))

    def _judge_wake(self, served: bool) -> None:
        """Begin, go on with or end the wake."""
        entry = self._entry
        if self._wake is not None:
            hopeless_now = entry.trouble is not None and entry.trouble.hopeless
            if served or entry.ready:
                self._wake.end("ready")
            elif entry.gone or hopeless_now:
                self._wake.end("failed")
            else:
                self._wake.changed()
        elif self.line and can_wake(entry):
            self._wake = Wake(entry, self._scaler, self._meters, self._wake_ended)

    def _wake_ended(self) -> None:
        self._wake = None
        self.changed()

    def _quiet(self) -> None:
        """Nobody waits: runners are left in peace."""
        self._prober.ask(())
        if self._entry.gone:
            self._reporter.stop()

    def _learned(self, endpoint: Endpoint, found: Readiness) -> bool:
        self.changed()
        return self._pods.learned(endpoint, found, self._loop.time())

    def _listener(self) -> Endpoint | None:
        """A runner that is up, whom the operator asks how many wait."""
        usable = self._pods.usable(self._loop.time())
        return next(iter((*usable, *self._entry.ready)), None)


def deleted(entry: ModelEntry) -> Refusal:
    """There is no such model any more."""
    told = f"The model {entry.path} was deleted"
    return Refusal(404, "model_not_found", told, param="model", final=True)


def _load(endpoint: Endpoint) -> int:
    return endpoint.in_flight
