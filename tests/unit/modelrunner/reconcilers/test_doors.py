"""Scale steps against a server and runners that fail in every way."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from modelrunner.domain.fleet import Runner
from modelrunner.domain.scaling import Grow, Reopen, Retire, Sleep
from modelrunner.kube.errors import Conflict, Forbidden, Invalid, KubeError, NotFound, Unavailable
from modelrunner.kube.events import EventRecorder
from modelrunner.kube.objects import KubeObject
from modelrunner.kube.resources import DEPLOYMENTS, PODS, Resource
from modelrunner.kube.store import Store
from modelrunner.reconcilers import doors
from modelrunner.reconcilers.doors import DENIED, Doors
from modelrunner.reconcilers.ledger import Record
from modelrunner.reconcilers.plan import Scaling
from modelrunner.reconcilers.probe import Door, DoorAnswer, RunnerProbe
from modelrunner_protocol.runner import Closing, RunnerStatus
from modelrunner_protocol.wire import Progress
from tests.unit.modelrunner.domain.fleets import STATUS, runner
from tests.unit.modelrunner.kube.fake_client import FakeClient

MODEL: dict[str, Any] = {"metadata": {"name": "m", "namespace": "ml", "uid": "u"}}
A, B = runner("a", ip="10.0.0.1"), runner("b", ip="10.0.0.2")
REFUSED = Invalid(422, "Invalid", "test failed")
FORBIDDEN = Forbidden(403, "Forbidden", "no right.")
AWAY = Unavailable(0, "Unreachable", "nobody there")


class Server(FakeClient):
    """Takes scale patches and marks, or refuses them; `moved` changes the Deployment just before."""

    def __init__(self) -> None:
        super().__init__()
        self.refusal: KubeError | None = None
        self.mark_refusal: KubeError | None = None
        self.moved = self.hangs = False
        self.scaled: list[int] = []

    async def json_patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        operations: Sequence[Mapping[str, Any]],
        *,
        subresource: str = "",
        field_manager: str,
    ) -> KubeObject:
        """Only the guarded scale."""
        test, add = operations
        assert (resource, subresource) == (DEPLOYMENTS, "scale")
        assert field_manager
        assert (test["op"], test["path"]) == ("test", "/metadata/resourceVersion")
        if self.moved:
            self._stored(resource, namespace, name, self.objects[resource, namespace, name])
        if self.hangs:
            await asyncio.Event().wait()
        if self.refusal is not None:
            raise self.refusal
        self.scaled.append(add["value"])
        return {}

    async def merge_patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        patch: Mapping[str, Any],
        *,
        field_manager: str,
    ) -> KubeObject:
        """Only marks on pods."""
        assert resource == PODS
        assert patch["metadata"]["uid"] == f"uid-{name}"
        if self.mark_refusal is not None:
            raise self.mark_refusal
        return await super().merge_patch(
            resource, namespace, name, patch, field_manager=field_manager
        )


class Runners(RunnerProbe):
    """Runners by address, and what they were asked."""

    def __init__(self) -> None:
        self.answers: dict[str, DoorAnswer] = {}
        self.asked: list[str] = []

    async def runner_status(self, ip: str) -> RunnerStatus | None:
        """Not asked here."""
        raise NotImplementedError

    async def progress(self, ip: str) -> Progress | None:
        """Not asked here."""
        raise NotImplementedError

    async def close_door(self, ip: str, closing: Closing) -> DoorAnswer:
        """Agree, unless a test says otherwise."""
        self.asked.append(f"{'drain' if closing.drain else 'close'} {ip}")
        return self.answers.get(ip, DoorAnswer(Door.CLOSED, STATUS))

    async def open_door(self, ip: str) -> None:
        """Note it."""
        self.asked.append(f"open {ip}")

    async def close(self) -> None:
        """Nothing to give up."""


class World:
    """A Deployment at version 1 with pods a and b."""

    def __init__(self) -> None:
        self.server, self.runners, self.told = Server(), Runners(), list[str]()
        self.record = Record("u", written_at=0.0)
        self.now = 1000.0
        self.server._stored(DEPLOYMENTS, "ml", "m", {"metadata": {"name": "m", "namespace": "ml"}})
        for name in ("a", "b"):
            meta = {"name": name, "namespace": "ml", "uid": f"uid-{name}"}
            self.server._stored(PODS, "ml", name, {"metadata": meta})
        self.doors = Doors(
            self.server,
            Store(),
            EventRecorder(self.server, "c", "i"),
            self.runners,
            lambda: self.now,
            lambda direction, result: self.told.append(f"{direction} {result}"),
        )

    async def take(self, action: Grow | Sleep | Retire | Reopen, replicas: int = 2) -> None:
        """One step from `replicas`."""
        await self.doors.carry_out(MODEL, Scaling("m", "1", replicas, action), self.record)

    @property
    def events(self) -> list[str]:
        """The reasons that were told."""
        return [one["reason"] for one in self.server.objects.values() if "reason" in one]


SLEEP = Sleep((A, B), "idle")


async def test_sleep() -> None:
    """All doors, then the scale; nothing is opened again."""
    world = World()
    await world.take(SLEEP)
    assert world.runners.asked == ["close 10.0.0.1", "close 10.0.0.2"]
    assert (world.server.scaled, world.told) == ([0], ["down done"])
    assert world.events == ["ScaledDown"]


@pytest.mark.parametrize(
    ("door", "told"), [(Door.BUSY, "busy"), (Door.UNKNOWN, "unknown"), (Door.MISSING, "unknown")]
)
async def test_one_that_does_not_agree(door: Door, told: str) -> None:
    """All are opened again, also the one whose answer was lost: it may have closed."""
    world = World()
    world.runners.answers["10.0.0.2"] = DoorAnswer(door)
    await world.take(SLEEP)
    assert world.runners.asked[2:] == ["open 10.0.0.1", "open 10.0.0.2"]
    assert (world.server.scaled, world.told) == ([], [f"down {told}"])
    assert world.record.doorless == ({"uid-b"} if door is Door.MISSING else set())


@pytest.mark.parametrize("error", [NotFound(404, "NotFound", "m"), Conflict(409, "Conflict", "m")])
async def test_somebody_was_first(error: KubeError) -> None:
    """Nothing is wrong with that: doors open, and the next look decides anew."""
    world = World()
    world.server.refusal = error
    await world.take(SLEEP)
    assert world.told == ["down outrun"]
    assert "open 10.0.0.1" in world.runners.asked
    assert (world.events, world.record.denied_at) == ([], None)


async def test_a_failed_guard_is_not_a_refusal_for_good() -> None:
    """The Deployment has another version now, so it was the guard that refused."""
    world = World()
    world.server.refusal, world.server.moved = REFUSED, True
    await world.take(SLEEP)
    assert (world.told, world.record.denied_at) == (["down outrun"], None)


@pytest.mark.parametrize("error", [REFUSED, FORBIDDEN])
async def test_what_is_denied_is_not_tried_again_soon(error: KubeError) -> None:
    """The version is the same, so it is a policy or a right; it is told, and doors stay alone."""
    world = World()
    world.server.refusal = error
    await world.take(SLEEP)
    assert (world.told, world.events) == (["down denied"], ["ScaleRefused"])
    asked = len(world.runners.asked)
    world.now += DENIED - 1
    await world.take(SLEEP)
    await world.take(Grow(3, "x"))
    assert len(world.runners.asked) == asked
    world.now += 2
    world.server.refusal = None
    await world.take(SLEEP)
    assert (world.server.scaled, world.record.denied_at) == ([0], None)


async def test_an_api_server_that_is_away() -> None:
    """Doors open again, and the work queue backs off."""
    world = World()
    world.server.refusal = AWAY
    with pytest.raises(Unavailable):
        await world.take(SLEEP)
    assert world.told == ["down failed"]
    assert world.runners.asked[2:] == ["open 10.0.0.1", "open 10.0.0.2"]


async def test_an_api_server_that_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease must not be over before the scale is written."""
    monkeypatch.setattr(doors, "IN_TIME", 0.01)
    world = World()
    world.server.hangs = True
    await world.take(SLEEP)
    assert world.told == ["down failed"]
    assert world.runners.asked[2:] == ["open 10.0.0.1", "open 10.0.0.2"]


def retire(one: Runner) -> Retire:
    """This one is to go."""
    return Retire(one, 1, "calm")


async def test_retire_waits_for_the_last_request() -> None:
    """The door stays closed, nothing is written; then the pod is marked and the scale follows."""
    world = World()
    busy = DoorAnswer(Door.CLOSED, replace(STATUS, in_flight=1))
    world.runners.answers["10.0.0.2"] = busy
    await world.take(retire(B))
    assert (world.runners.asked, world.server.scaled) == (["drain 10.0.0.2"], [])
    del world.runners.answers["10.0.0.2"]
    await world.take(retire(B))
    marks = world.server.objects[PODS, "ml", "b"]["metadata"]["annotations"]
    assert marks == {"controller.kubernetes.io/pod-deletion-cost": "-1000"}
    assert (world.server.scaled, world.told) == ([1], ["down done"])
    assert "open 10.0.0.2" not in world.runners.asked


async def test_retire_of_what_has_not_started() -> None:
    """There is no door to close, and none to open when it fails."""
    world = World()
    world.server.refusal = Conflict(409, "Conflict", "m")
    await world.take(retire(replace(B, ip="", status=None)))
    assert world.runners.asked == []
    world.server.refusal = None
    await world.take(retire(replace(B, ip="", status=None, marked=True)))
    assert world.server.scaled == [1]


@pytest.mark.parametrize(
    ("error", "told"), [(NotFound(404, "NotFound", "b"), "outrun"), (FORBIDDEN, "denied")]
)
async def test_retire_without_a_mark_takes_nobody(error: KubeError, told: str) -> None:
    """Kubernetes would choose another one, which has requests."""
    world = World()
    world.server.mark_refusal = error
    await world.take(retire(B))
    assert (world.server.scaled, world.told) == ([], [f"down {told}"])
    assert world.runners.asked[-1] == "open 10.0.0.2"


async def test_up_and_open() -> None:
    """Growing touches no door; opening writes nothing."""
    world = World()
    await world.take(Grow(3, "busy"))
    assert (world.server.scaled, world.told, world.events) == ([3], ["up done"], ["ScaledUp"])
    await world.take(Reopen((B,)))
    assert (world.runners.asked, world.server.scaled) == (["open 10.0.0.2"], [3])
