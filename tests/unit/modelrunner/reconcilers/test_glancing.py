"""When a glance is enough: while nothing has changed and nothing follows from what runners say."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from modelrunner.domain.objects import format_time
from modelrunner.domain.scaling import POLL
from modelrunner.domain.volumes import Reach
from modelrunner.domain.volumes_limit import PATIENCE
from modelrunner.kube.resources import DEPLOYMENTS, JOBS, MODEL_RUNNERS, MODELS, PODS, SERVICES
from modelrunner.kube.store import Store
from modelrunner.reconcilers.glancing import FULL_LOOK_EVERY, Glance
from modelrunner.reconcilers.index import NameIndex
from modelrunner.reconcilers.ledger import Ledger
from modelrunner.reconcilers.probe import DoorAnswer, RunnerProbe
from modelrunner_protocol.runner import Closing, RunnerState, RunnerStatus
from modelrunner_protocol.wire import Progress
from tests.unit.modelrunner.domain.pod_json import (
    NOW,
    RUNNING,
    container,
    deployment,
    pod,
    unschedulable,
)
from tests.unit.modelrunner.domain.settings_of import HTTP, settings_of

Object = dict[str, Any]
OURS = {"modelrunner.dev/model": "m", "app.kubernetes.io/component": "runner"}


class OneRunner(RunnerProbe):
    """What the only runner says."""

    status: RunnerStatus | None = RunnerStatus(
        state=RunnerState.READY, started_at=NOW - 100, last_used_at=NOW - 30
    )

    async def runner_status(self, ip: str) -> RunnerStatus | None:
        """What a test has put into it."""
        return self.status

    async def progress(self, ip: str) -> Progress | None:
        """Not asked here."""
        raise NotImplementedError

    async def close_door(self, ip: str, closing: Closing) -> DoorAnswer:
        """Not asked here."""
        raise NotImplementedError

    async def open_door(self, ip: str) -> None:
        """Not asked here."""
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing to give up."""


def stored(found: Object, version: int, **labels: str) -> Object:
    """An object of the namespace, as a watch tells it."""
    meta = {"namespace": "ml", "name": "m", "uid": "u", **found.get("metadata", {})}
    meta |= {"resourceVersion": str(version), "labels": {**meta.get("labels", {}), **labels}}
    return {**found, "metadata": meta}


class World:
    """A Model at rest, right after a full look."""

    def __init__(self) -> None:
        self.store, self.probe, self.ledger = Store(), OneRunner(), Ledger()
        status = {
            "phase": "Ready",
            "lastUsedTime": format_time(NOW - 30),
            "idleDeadline": format_time(NOW + 270),
            "activation": {"maxHeld": 100, "timeoutSeconds": 300.0},
        }
        created = "2026-11-21T10:00:00Z"
        self.model = stored({"status": status, "metadata": {"creationTimestamp": created}}, 1)
        owned = deployment()
        owned["metadata"]["ownerReferences"] = [{"uid": "u", "controller": True}]
        serving = pod(conditions={"Ready": "True"}, containers=[container(RUNNING, ready=True)])
        self.put(MODELS, self.model)
        self.put(DEPLOYMENTS, stored(owned, 2))
        self.put(SERVICES, stored({}, 3))
        self.put(MODEL_RUNNERS, stored({"metadata": {"name": "gpu", "generation": 1}}, 4))
        self.put(PODS, stored(serving, 5, **OURS))
        self.glance = Glance(self.store, self.probe, NameIndex())
        self.record = self.ledger.of(self.model, NOW)
        self.record.resting = self.glance.rest(self.model, settings_of(), NOW)

    def put(self, resource: Any, found: Object) -> None:
        """Into the cache."""
        assert self.store.put(resource, found)

    async def look(self, after: float = 10.0) -> tuple[bool, float | None]:
        """Whether a glance is enough."""
        return await self.glance.is_enough(self.model, self.record, NOW + after)


async def test_a_glance_is_enough_at_rest() -> None:
    """Until the deadline, or until a full look is due."""
    world = World()
    assert await world.look() == (True, POLL)
    enough, after = await world.look(239)
    assert enough
    assert after == POLL
    assert not (await world.look(FULL_LOOK_EVERY))[0]
    assert not (await world.look(-1))[0]
    world.record.resting = None
    assert not (await world.look())[0]


async def test_what_runners_say_asks_for_more() -> None:
    """A deadline that has come; use whose minute has come, and none before."""
    world = World()
    assert world.probe.status is not None
    world.probe.status = replace(world.probe.status, last_used_at=NOW + 5)
    assert (await world.look(59))[0]
    assert not (await world.look(60))[0]
    idle = World()
    idle.probe.status = replace(world.probe.status, last_used_at=NOW - 30, keep_alive=1.0)
    assert not (await idle.look())[0]
    unknown = World()
    unknown.probe.status = None
    assert await unknown.look(100) == (True, POLL)


@pytest.mark.parametrize("told", [False, True])
async def test_a_runner_that_finds_no_place_is_told_without_an_event(told: bool) -> None:
    """Nothing changes when its time is over: the glance sees it, and once told it is enough."""
    world = World()
    late = unschedulable("0/2 nodes are available: 2 node(s) didn't match pod affinity rules.")
    late["metadata"] |= {"name": "late", "uid": "late"}
    late["status"]["conditions"][0]["lastTransitionTime"] = format_time(NOW)
    world.put(PODS, stored(late, 6, **OURS))
    two = deployment(replicas=2, updated=2, total=2)
    two["metadata"]["ownerReferences"] = [{"uid": "u", "controller": True}]
    world.put(DEPLOYMENTS, stored(two, 7))
    if told:
        limited = {"type": "ReplicasLimited", "status": "True", "reason": "SingleNodeVolume"}
        world.model["status"]["conditions"] = [limited]
    world.record.looked = True
    world.record.resting = world.glance.rest(world.model, settings_of(), NOW, Reach.NODE)
    assert (await world.look(PATIENCE - 10))[0] is not told
    assert (await world.look(PATIENCE + 10))[0] is told


CHANGES: list[Callable[[World], None]] = [
    lambda world: world.put(DEPLOYMENTS, stored({}, 9)),
    lambda world: world.put(SERVICES, stored({}, 9)),
    lambda world: world.put(PODS, stored(pod(), 9, **OURS)),
    lambda world: world.put(PODS, stored(pod("other"), 9, **OURS)),
    lambda world: world.put(
        MODEL_RUNNERS, stored({"metadata": {"name": "gpu", "generation": 2}}, 9)
    ),
    lambda world: world.put(JOBS, stored({}, 9, **{"modelrunner.dev/model": "m"})),
    lambda world: world.put(JOBS, stored({}, 9, **{"modelrunner.dev/artifact": settings_of().key})),
    lambda world: world.put(
        MODELS,
        stored(
            {
                "metadata": {"name": "o", "uid": "o", "creationTimestamp": "2020-01-01T00:00:00Z"},
                "spec": {"aliases": ["m"]},
            },
            9,
        ),
    ),
    lambda world: world.model.update(stored({**world.model}, 9)),
]


@pytest.mark.parametrize("number", range(len(CHANGES)))
async def test_a_change_of_any_object_asks_for_more(number: int) -> None:
    """Of those a full look is made from; a name that an older Model takes is one of them."""
    world = World()
    CHANGES[number](world)
    assert not (await world.look())[0]


async def test_changes_of_others_do_not() -> None:
    """A ModelRunner's status changes with every Model of it; another Model is another Model."""
    world = World()
    world.put(
        MODEL_RUNNERS,
        stored({"metadata": {"name": "gpu", "generation": 1}, "status": {"models": 9}}, 9),
    )
    world.put(MODELS, stored({"metadata": {"name": "other", "uid": "o"}}, 9))
    assert (await world.look())[0]


async def test_another_model_of_the_same_name_is_not_remembered() -> None:
    """Nor is one that is gone."""
    world = World()
    again = {**world.model, "metadata": {**world.model["metadata"], "uid": "new"}}
    assert world.ledger.of(world.model, NOW) is world.record
    assert world.ledger.of(again, NOW) is not world.record
    world.ledger.forget(("ml", "m"))
    assert world.ledger.of(again, NOW + 5).written_at == NOW + 5


async def test_a_draft_asks_for_more() -> None:
    """When its weights change; not when somebody uses it."""
    world = World()
    spec = {"config": {"speculative": {"draftModel": "d"}}}
    world.record.resting = world.glance.rest(world.model, settings_of(HTTP | spec), NOW)
    assert (await world.look())[0] is True

    def draft(version: int, generation: int, **status: str) -> Object:
        found = {"status": status, "metadata": {"name": "d", "uid": "d", "generation": generation}}
        return stored(found, version)

    world.put(MODELS, draft(6, 1))
    assert (await world.look())[0] is False
    world.record.resting = world.glance.rest(world.model, settings_of(HTTP | spec), NOW)
    world.put(MODELS, draft(7, 1, lastUsedTime="now"))
    assert (await world.look())[0] is True
    world.put(MODELS, draft(8, 2))
    assert (await world.look())[0] is False


async def test_a_source_is_looked_at_in_time() -> None:
    """However often its runners are only glanced at before, the look at the source is not late."""
    world = World()
    world.record.resting = world.glance.rest(world.model, settings_of(), NOW, due_in=100)
    assert await world.look(50) == (True, POLL)
    enough, again = await world.look(98)
    assert enough
    assert again == pytest.approx(2)
    assert not (await world.look(100))[0]
    world.record.resting = world.glance.rest(world.model, settings_of(), NOW, due_in=1000)
    assert not (await world.look(FULL_LOOK_EVERY))[0]
