"""What a runner says of itself: to the operator, to whoever waits for it."""

import asyncio
from typing import Any

from modelrunner_protocol.runner import RunnerStatus
from runnerd.server import answers
from runnerd.server.closure import Closure
from runnerd.server.served import Served
from runnerd.server.waiting import Waiting


class Report:
    """Put together anew whenever somebody asks.

    `listening_at` is in seconds since the epoch.
    """

    def __init__(
        self,
        served: Served,
        *,
        closure: Closure,
        waiting: Waiting,
        started_at: float,
    ) -> None:
        self._served = served
        self._engine = served.engine
        self._gate = served.gate
        self._closure = closure
        self._waiting = waiting
        self.started_at = started_at
        self.listening_at: float | None = None

    @property
    def ready(self) -> bool:
        """Whether a request that comes now would be let in."""
        engine = self._engine
        return engine.ready and not engine.draining and not self._closure.closed

    def status(self) -> RunnerStatus:
        """For the operator."""
        engine, gate = self._engine, self._gate
        failure = engine.failure
        return RunnerStatus(
            state=engine.state,
            started_at=self.started_at,
            listening_at=self.listening_at,
            engine_ready_at=engine.engine_ready_at,
            warmed_at=engine.warmed_at,
            reason=failure.reason if failure else None,
            message=failure.message if failure else "",
            restarts=engine.restarts,
            in_flight=gate.in_flight,
            last_used_at=gate.last_used_at,
            slots=engine.slots,
            held=self._waiting.total,
            keep_alive=self._served.keep_alive,
            closed_until=self._closure.until,
        )

    def readiness(self) -> dict[str, Any]:
        """For probes: the state, why it is not a ready one, and the engine's slots."""
        reason, message = answers.standing(self._engine)
        word = reason.value
        if self._engine.ready and not self._engine.draining and self._closure.closed:
            word, message = answers.CLOSED, "the door is closed to new requests for a while"
        state = self._engine.state.value
        return {"state": state, "reason": word, "message": message, "slots": self._engine.slots}

    async def arrived(self, timeout: float) -> None:
        """Wait, at most `timeout` seconds, for an engine on its way or a door that will open."""
        now = asyncio.get_running_loop().time
        deadline = now() + timeout
        await self._engine.arrived(timeout)
        if self._engine.ready and not self._engine.draining:
            await self._closure.opened(deadline - now())
