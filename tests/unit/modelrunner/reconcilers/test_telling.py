"""What is told of a pull, and that it is told once."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from modelrunner.reconcilers.observation import Observation
from modelrunner.reconcilers.planning import plan_model
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Outcome, Progress, PullPhase
from tests.unit.modelrunner.domain.settings_of import CLAIM, URL
from tests.unit.modelrunner.reconcilers.worlds import (
    ARTIFACT,
    DEFAULTS,
    after,
    job_ended,
    start,
)

GIB = 1 << 30
FOUND = Outcome(artifact=ARTIFACT)
GOING = Progress(
    phase=PullPhase.DOWNLOADING,
    completed_bytes=GIB,
    total_bytes=2 * GIB,
    bytes_per_second=5e6,
    eta_seconds=200.0,
    idle_seconds=0.1,
)
SILENT = replace(GOING, bytes_per_second=0.0, eta_seconds=None, idle_seconds=80.0)


class World:
    """One Model, looked at again and again; `told` are its events in short."""

    def __init__(self, seen: Observation) -> None:
        self.seen = seen
        self.told: list[str] = []

    def look(self, progress: Progress | None = None, *, later: float = 5.0) -> list[str]:
        """Plan and carry it out; the events it tells."""
        self.seen = replace(self.seen, progress=progress, now=self.seen.now + later)
        plan = plan_model(self.seen, DEFAULTS)
        self.seen = after(self.seen, plan)
        events = [f"{event.type} {event.reason}: {event.note}" for event in plan.events]
        self.told += events
        return events

    @property
    def message(self) -> str:
        """What the Model says of itself."""
        found = self.seen.model["status"]["conditions"]
        return str(next(one["message"] for one in found if one["type"] == "Ready"))


@pytest.fixture
def world() -> World:
    """Its pull has just begun."""
    world = World(start())
    world.look()
    world.seen = replace(world.seen, resolve=job_ended(world.seen.resolve, "resolve", FOUND))
    assert [event.split(":")[0] for event in world.look()] == ["Normal Pulling"]
    return world


def _nothing(found: Sequence[str]) -> None:
    assert list(found) == []


def test_a_pull_that_goes_on_where_it_was(world: World) -> None:
    """How much was there is told once, as soon as it is known."""
    _nothing(world.look())
    resumed = replace(GOING, resumed_bytes=GIB)
    assert world.look(resumed) == ["Normal PullResumed: 50 % of 2.0 GiB are there already"]
    _nothing(world.look(replace(resumed, resumed_bytes=GIB + 5)))
    _nothing(world.look(None))
    _nothing(world.look(resumed))


def test_a_pull_from_the_beginning_resumes_nothing(world: World) -> None:
    """No event without bytes of an earlier try."""
    _nothing(world.look(GOING))


def test_each_silence_is_told_once(world: World) -> None:
    """A warning with the reason, and a word when bytes come again; a new one is told again."""
    world.look(GOING)
    message = "the server answered 503; trying again"
    (stalled,) = world.look(replace(SILENT, message=message))
    assert stalled == (f"Warning PullStalled: {URL}: no byte for more than 1m0s: {message}")
    assert world.message.endswith(f"; no byte for more than 1m0s: {message}")
    for number in range(1, 4):
        longer = replace(SILENT, idle_seconds=80.0 + 5 * number, message=message)
        _nothing(world.look(longer))
    _nothing(world.look(None))
    (again,) = world.look(GOING)
    assert again.startswith("Normal PullRecovered: bytes come again after 1m45s: 1.0 GiB of 2.0")
    assert "no byte" not in world.message
    _nothing(world.look(GOING))
    (stalled,) = world.look(SILENT, later=90.0)
    assert "the source sends nothing; its connections are made anew" in stalled


def test_a_silence_writes_next_to_nothing(world: World) -> None:
    """While nothing comes there is nothing to write but, seldom, for how long."""
    world.look(GOING)
    values = set()
    for number in range(100):
        world.look(replace(SILENT, idle_seconds=80.0 + 5 * number))
        values.add(str(world.seen.model["status"]))
    assert len(values) == 3


def test_a_pull_that_ends_in_silence(world: World) -> None:
    """What it failed of is told; nothing has recovered."""
    world.look(SILENT)
    failure = Outcome(reason=Reason.PULL_FAILED, message="the volume is full")
    world.seen = replace(world.seen, pull=job_ended(world.seen.pull, "pull", failure))
    assert [event.split(":")[0] for event in world.look()] == ["Warning PullFailed"]
    assert "download" not in world.seen.model["status"]


def test_weights_that_are_there(world: World) -> None:
    """Size, time and speed of what came, once."""
    told = replace(FOUND, downloaded_bytes=10**9, seconds=40.0)
    world.seen = replace(world.seen, pull=job_ended(world.seen.pull, "pull", told))
    plan = plan_model(world.seen, DEFAULTS)
    assert plan.pull_ended is not None
    assert (plan.pull_ended.source, plan.pull_ended.result) == ("http", "success")
    assert plan.pull_ended.downloaded_bytes == 10**9
    pulled, starting = world.look()
    assert pulled == f"Normal Pulled: {URL}: 953.7 MiB in 40s, 23.8 MiB/s"
    assert starting.startswith("Normal Starting")
    _nothing(world.look())


def test_weights_that_were_there() -> None:
    """A Model whose weights somebody has pulled before is told so."""
    first = World(start())
    first.look()
    first.seen = replace(first.seen, resolve=job_ended(first.seen.resolve, "resolve", FOUND))
    first.look()
    first.seen = replace(first.seen, pull=job_ended(first.seen.pull, "pull", FOUND))
    first.look()
    second = World(replace(start(), claim=first.seen.claim))
    told = second.look()
    assert f"Normal Pulled: {URL}: 953.7 MiB, in the cache already: nothing was downloaded" in told
    assert not any("Pulled" in event for event in second.look())


def test_weights_in_place_are_not_pulled() -> None:
    """A user's volume is used as it is."""
    world = World(start(CLAIM))
    world.look()
    world.seen = replace(world.seen, resolve=job_ended(world.seen.resolve, "resolve", FOUND))
    world.look()
    world.look()
    assert not any("Pulled" in event for event in world.told)


def test_weights_that_came_with_somebody_elses_job(world: World) -> None:
    """Two Models waited for one pull: who comes second finds no Job, but is told all the same."""
    first = World(world.seen)
    first.seen = replace(first.seen, pull=job_ended(first.seen.pull, "pull", FOUND))
    first.look()
    world.seen = replace(world.seen, claim=first.seen.claim, pull=None, resolve=None)
    assert f"Normal Pulled: {URL}: 953.7 MiB are in the cache" in world.look()
