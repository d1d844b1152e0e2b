"""The door for states: cache first, then the keys; dead watches are noticed."""

import asyncio
from collections.abc import Iterator
from typing import Any

from modelrunner.kube.objects import KubeObject, name_of
from modelrunner.kube.resources import PODS, Resource
from modelrunner.kube.store import Change, Store
from modelrunner.manager.intake import Intake
from modelrunner.manager.keys import Key


class Labelled:
    """Maps an object to the key of its label `owner`."""

    def keys(self, resource: Resource, item: KubeObject, *, gone: bool) -> Iterator[Key]:
        """One key."""
        assert resource == PODS
        yield Key("Model", "ns", item["metadata"]["labels"]["owner"])


class World:
    """An intake and what it caused."""

    def __init__(self) -> None:
        self.store = Store()
        self.added: list[str] = []
        self.missed: list[str] = []
        self.relists = 0
        self.intake = Intake(
            self.store,
            Labelled(),
            add=lambda key: self.added.append(key.name),
            relisted=self._relisted,
            missed=self.missed.append,
        )

    def _relisted(self) -> None:
        self.relists += 1


def pod(version: int, owner: str = "m", name: str = "p") -> dict[str, Any]:
    """A pod."""
    return {
        "metadata": {
            "name": name,
            "namespace": "ns",
            "uid": name,
            "resourceVersion": str(version),
            "labels": {"owner": owner},
        }
    }


async def test_events_reach_the_cache_and_then_the_owner() -> None:
    """Added, changed, deleted."""
    world = World()
    world.intake.event(PODS, "ADDED", pod(1))
    world.intake.event(PODS, "MODIFIED", pod(2))
    assert name_of(world.store.get(PODS, "ns", "p") or {}) == "p"
    world.intake.event(PODS, "DELETED", pod(3))
    assert world.store.get(PODS, "ns", "p") is None
    assert world.added == ["m", "m", "m"]


async def test_a_change_of_owner_concerns_both() -> None:
    """Whom it leaves has to look again as well."""
    world = World()
    world.intake.event(PODS, "ADDED", pod(1, owner="a"))
    world.added.clear()
    world.intake.event(PODS, "MODIFIED", pod(2, owner="b"))
    assert world.added == ["a", "b"]


async def test_the_answer_to_our_own_write_hides_no_change() -> None:
    """Somebody's change, then our write: its answer holds both and comes before either event."""
    world = World()
    world.intake.event(PODS, "ADDED", pod(1))
    world.added.clear()
    world.store.put(PODS, pod(3))
    world.intake.event(PODS, "MODIFIED", pod(2))
    world.intake.event(PODS, "MODIFIED", pod(3))
    assert world.added == ["m"]


async def test_states_that_are_known_or_old_disturb_nobody() -> None:
    """A watch that lists again repeats everything."""
    world = World()
    world.intake.event(PODS, "ADDED", pod(5))
    world.added.clear()
    world.intake.event(PODS, None, pod(5))
    world.intake.event(PODS, "MODIFIED", pod(4))
    assert world.added == []
    assert world.relists == 1


async def test_a_watch_is_called_silent_after_two_resyncs_that_it_should_have_told() -> None:
    """At rest it is not; one event clears it."""
    world = World()
    world.intake.swept()
    for version in (1, 2):
        assert world.intake.silent() == []
        world.intake.difference(Change(PODS, "ns", "p", None, pod(version)))
        world.intake.swept()
        world.intake.swept()
    assert world.intake.silent() == ["pods"]
    assert world.missed == ["pods", "pods"]
    world.intake.event(PODS, "MODIFIED", pod(3))
    assert world.intake.silent() == []


async def test_the_first_resync_fills_the_cache_and_blames_nobody() -> None:
    """An empty cache is no missed event; its objects are looked at."""
    world = World()
    world.intake.difference(Change(PODS, "ns", "p", None, pod(1)))
    world.intake.swept()
    world.intake.difference(Change(PODS, "ns", "p", pod(1), pod(2)))
    world.intake.swept()
    assert world.missed == ["pods"]
    assert world.intake.silent() == []
    assert world.added == ["m", "m"]


async def test_the_age_of_the_last_event_is_told() -> None:
    """For the metrics."""
    world = World()
    assert world.intake.ages() == {}
    world.intake.event(PODS, "ADDED", pod(1))
    await asyncio.sleep(0)
    assert 0 <= world.intake.ages()["pods"] < 5
