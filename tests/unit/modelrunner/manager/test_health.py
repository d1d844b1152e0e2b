"""The probes: restart when only that helps, ready when the job is done."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from modelrunner.manager.health import Health
from modelrunner.telemetry.lag import LoopLag
from tests.support.virtual_time import run


@dataclass
class Queue:
    """Ages in seconds."""

    waiting: float = 0.0
    running: float = 0.0

    def oldest_waiting(self) -> float:
        """Seconds."""
        return self.waiting

    def oldest_running(self) -> float:
        """Seconds."""
        return self.running


@dataclass
class Watches:
    """Resources."""

    dead: list[str] = field(default_factory=list)

    def silent(self) -> list[str]:
        """The dead ones."""
        return self.dead


@dataclass
class Round:
    """The last resync."""

    synced: bool = True
    age: float | None = 1.0


def health(role: str = "leader", **parts: Any) -> Health:
    """A process in that role."""
    found = Health(LoopLag(), 300, role=role)
    for name, part in parts.items():
        setattr(found, name, part)
    return found


def test_a_standby_is_alive_and_ready() -> None:
    """It waits, and that is its job."""
    standby = health("standby")
    assert standby.live().ok
    assert standby.ready().ok


@pytest.mark.parametrize(
    "parts",
    [
        {"queue": Queue(running=301)},
        {"queue": Queue(waiting=601)},
        {"intake": Watches(["pods"])},
    ],
)
def test_a_standstill_is_unhealthy(parts: dict[str, Any]) -> None:
    """A hung reconcile, a stuck queue, a dead watch."""
    assert health(**parts).live().ok is False


def test_a_leader_at_work_is_healthy() -> None:
    """Long waits below the limits are told and tolerated."""
    report = health(queue=Queue(10, 20), intake=Watches(), resync=Round()).live()
    assert report.ok
    assert report.details["oldestRunningSeconds"] == 20


@pytest.mark.parametrize(
    ("resync", "ready"),
    [
        (None, False),
        (Round(synced=False, age=None), False),
        (Round(age=100), True),
        (Round(age=1000), False),
    ],
)
def test_a_leader_is_ready_once_and_while_it_sees_everything(
    resync: Round | None, ready: bool
) -> None:
    """Not before the first list, and not when listing has failed for long."""
    assert health(resync=resync).ready().ok is ready


def test_what_hinders_is_told() -> None:
    """A person asks /readyz and reads it."""
    assert health("leader", trouble="install the CRDs").ready().details["trouble"]
    assert not health("starting").ready().ok


def test_the_lag_of_an_idle_loop_is_nothing() -> None:
    """The measure itself costs nothing."""

    async def scenario() -> float:
        lag = LoopLag()
        task = asyncio.create_task(lag.run())
        await asyncio.sleep(10)
        task.cancel()
        return lag.seconds

    assert run(scenario()) == pytest.approx(0.0, abs=1e-6)
