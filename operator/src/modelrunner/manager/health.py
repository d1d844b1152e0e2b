"""What the probes say: whether this process should be restarted, whether it does its job."""

from dataclasses import dataclass
from typing import Final, Protocol

from modelrunner.telemetry.lag import LoopLag
from modelrunner.telemetry.probes import Report

_LAG_LIMIT: Final = 5.0
_RUNNING_LIMIT: Final = 300.0
_WAITING_LIMIT: Final = 600.0


class QueueAges(Protocol):
    """The part of a work queue that shows a standstill."""

    def oldest_waiting(self) -> float:
        """Seconds."""
        ...

    def oldest_running(self) -> float:
        """Seconds."""
        ...


class Silence(Protocol):
    """The part of the intake that shows dead watches."""

    def silent(self) -> list[str]:
        """Resources."""
        ...


class Freshness(Protocol):
    """The part of the resync that shows whether it works."""

    @property
    def synced(self) -> bool:
        """Whether a first round is done."""
        ...

    @property
    def age(self) -> float | None:
        """Seconds since the last round."""
        ...


@dataclass(slots=True)
class Health:
    """Judges the process. The parts of a leader are there only while it leads."""

    lag: LoopLag
    resync_period: float
    role: str = "starting"
    queue: QueueAges | None = None
    intake: Silence | None = None
    resync: Freshness | None = None
    trouble: str = ""

    def live(self) -> Report:
        """Unhealthy when only a restart would help."""
        details: dict[str, object] = {
            "role": self.role,
            "loopLagSeconds": round(self.lag.seconds, 3),
        }
        ok = self.lag.seconds < _LAG_LIMIT
        if self.queue is not None:
            running, waiting = self.queue.oldest_running(), self.queue.oldest_waiting()
            details["oldestRunningSeconds"] = round(running, 3)
            details["oldestWaitingSeconds"] = round(waiting, 3)
            ok = ok and running < _RUNNING_LIMIT and waiting < _WAITING_LIMIT
        if self.intake is not None:
            silent = self.intake.silent()
            details["silentWatches"] = silent
            ok = ok and not silent
        return Report(ok, details)

    def ready(self) -> Report:
        """Ready: a standby that waits, or a leader that has seen everything lately."""
        details: dict[str, object] = {"role": self.role}
        if self.trouble:
            details["trouble"] = self.trouble
        if self.role == "standby":
            return Report(ok=True, details=details)
        if self.role != "leader" or self.resync is None:
            return Report(ok=False, details=details)
        age = self.resync.age
        details["synced"] = self.resync.synced
        details["resyncAgeSeconds"] = None if age is None else round(age, 3)
        fresh = age is not None and age < 3 * self.resync_period + 60
        return Report(self.resync.synced and fresh, details)
