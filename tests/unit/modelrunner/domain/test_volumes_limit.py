"""How many runners a volume carries: found out, told, tried again, and never in a flutter."""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner.domain.effective import ScalingSettings
from modelrunner.domain.fleet import Fleet, Runner
from modelrunner.domain.scaling import POLL, Demand, Grow, Retire, decide
from modelrunner.domain.volumes import Reach
from modelrunner.domain.volumes_limit import (
    HANGING,
    PATIENCE,
    RETRY,
    TRIAL,
    Limit,
    bounded,
    held_up,
    limited,
    recalled,
    review,
    steered,
)
from tests.unit.modelrunner.domain.fleets import (
    BOUNDS,
    NOW,
    STATUS,
    bounds,
    fleet,
    fleets,
    keep_alives,
    runner,
)
from tests.unit.modelrunner.domain.settings_of import CLAIM, HTTP, settings_of

THREE = replace(BOUNDS, min_replicas=3, max_replicas=3)
ELASTIC = replace(BOUNDS, min_replicas=1, max_replicas=5, elastic=True)
HALF_A_DAY = 43_200.0
SETTINGS = settings_of()


@dataclass
class Town:
    """One node with room for so many runners, a scheduler that knows it, and the operator.

    `elsewhere`: the scheduler does not know of the volume, and sends what is too many to another
    node, where it hangs. `told` are times and the condition's message where it changed.
    """

    scaling: ScalingSettings
    room: int
    load: int = 0
    elsewhere: bool = False
    node: str = "n1"
    seal: str = "s"
    now: float = NOW
    limit: Limit | None = None
    demand: Demand = field(default_factory=Demand)
    born: list[float] = field(default_factory=lambda: [NOW])
    writes: list[tuple[float, int]] = field(default_factory=list)
    told: list[tuple[float, str]] = field(default_factory=list)

    def fleet(self) -> Fleet:
        """The oldest have a place."""
        found = [self._runner(number, at) for number, at in enumerate(self.born)]
        return fleet(*found)

    def _runner(self, number: int, born: float) -> Runner:
        if number < self.room:
            status = replace(STATUS, in_flight=self.load // min(self.room, len(self.born)))
            return runner(str(number), status=status, node=self.node, created=born)
        node = "n2" if self.elsewhere else ""
        return runner(
            str(number), None, ip="", ready=False, node=node, created=born, held_since=born
        )

    def look(self) -> None:
        """One pass of the operator, and what follows from it."""
        seen = self.fleet()
        if seen.known:
            self.demand = self.demand.seen(self.now, seen.load)
        self.limit = review(
            self.limit, seen, self.scaling, reach=Reach.NODE, seal=self.seal, now=self.now
        )
        course = steered(
            seen,
            self.scaling,
            -1,
            self.demand,
            self.limit,
            reach=Reach.NODE,
            now=self.now,
        )
        match course.action:
            case Grow(to):
                self.born += [self.now] * (to - len(self.born))
                self.writes.append((self.now, to))
            case Retire(leaving, to):
                del self.born[int(leaving.name)]
                self.writes.append((self.now, to))
            case _:
                pass
        settings = replace(SETTINGS, scaling=self.scaling)
        found = limited(settings, seen, self.limit, ["c"], reach=Reach.NODE, now=self.now)
        message = found.message if found else ""
        if message != (self.told[-1][1] if self.told else ""):
            self.told.append((self.now, message))

    def live(self, seconds: float) -> None:
        """Time passes, with a look every ten seconds."""
        until = self.now + seconds
        while self.now < until:
            self.look()
            self.now += POLL


def test_what_does_not_fit_is_taken_back_and_tried_ever_more_rarely() -> None:
    """Half a day with room for two of three: told once, a few tries, the two never touched."""
    town = Town(THREE, room=2)
    town.live(HALF_A_DAY)
    assert len(town.born) == 2
    assert [message for _, message in town.told] == [town.told[0][1]]
    assert town.told[0][0] <= NOW + PATIENCE + 2 * POLL
    assert "3 runners are wanted and 2 run: PersistentVolumeClaim c can be" in town.told[0][1]
    assert "node n1 has no room for more" in town.told[0][1]
    tries = [at for at, to in town.writes if to == 3][1:]
    assert 3 <= len(tries) <= 12
    gaps = [later - sooner for sooner, later in pairwise(tries)]
    assert gaps == sorted(gaps)
    assert {to for _, to in town.writes} == {2, 3}


def test_room_that_comes_is_found_and_the_condition_goes() -> None:
    """With the next try all of them run; nothing is told any more and nothing written."""
    town = Town(THREE, room=1)
    town.live(RETRY / 2)
    assert len(town.born) == 1
    assert "3 runners are wanted and 1 runs" in town.told[-1][1]
    town.room = 3
    town.live(2 * RETRY)
    assert len(town.born) == 3
    assert town.told[-1][1] == ""
    before = len(town.writes)
    town.live(HALF_A_DAY / 8)
    assert len(town.writes) == before
    assert len(town.told) == 2


def test_demand_stays_within_the_limit() -> None:
    """Forty requests at once for hours, room for two; then nobody, and one runner is left."""
    town = Town(ELASTIC, room=2, load=40)
    town.live(4 * 3600)
    assert len(town.born) == 2
    assert [message for _, message in town.told] == [town.told[0][1]]
    assert "5 runners are wanted and 2 run" in town.told[0][1]
    assert len(town.writes) <= 20
    town.load = 0
    town.live(2 * 3600)
    assert len(town.born) == 1
    assert town.told[-1][1] == ""
    assert len(town.told) == 2


def test_a_pod_whose_volume_does_not_come_counts_later() -> None:
    """On another node it hangs in the attach: an image that is long on its way would, too."""
    town = Town(THREE, room=1, elsewhere=True)
    town.live(HANGING - POLL)
    assert len(town.born) == 3
    assert town.told == []
    town.live(60)
    assert len(town.born) == 1
    assert town.told[0][0] <= NOW + HANGING + 2 * POLL


def test_what_others_have_added_is_theirs() -> None:
    """An autoscaler would add it again, and again: it is told and left."""
    town = Town(BOUNDS, room=1)
    town.born = [NOW] * 3
    town.live(HALF_A_DAY / 8)
    assert town.writes == []
    assert [message for _, message in town.told] == [town.told[0][1]]
    town.born = [NOW]
    town.live(HALF_A_DAY / 8)
    assert town.told[-1][1] == ""


def test_other_settings_are_tried_at_once() -> None:
    """Smaller runners, another claim, other bounds: what was found does not hold for them."""
    town = Town(THREE, room=2)
    town.live(300)
    assert len(town.born) == 2
    town.room, town.seal = 3, "smaller"
    town.live(20)
    assert len(town.born) == 3


def test_a_node_that_shrinks_lowers_the_limit() -> None:
    """What runs is what counts, and the next try stays where it was."""
    town = Town(THREE, room=2)
    town.live(300)
    assert town.limit is not None
    due = town.limit.retry_at
    town.room = 1
    town.born[1] = town.now
    town.live(PATIENCE + 2 * POLL)
    assert len(town.born) == 1
    assert town.limit is not None
    assert (town.limit.runs, town.limit.retry_at) == (1, due)


def test_another_node_is_another_limit() -> None:
    """After a drain the volume is elsewhere, and there may be room: it is tried at once."""
    town = Town(THREE, room=2)
    town.live(300)
    assert len(town.born) == 2
    town.node, town.room = "n3", 3
    town.live(20)
    assert len(town.born) == 3
    assert town.told[-1][1] == ""


def test_a_new_process_takes_up_what_was_told() -> None:
    """It does not try at once; nobody running, nothing known."""
    found = recalled(fleet(runner(node="n1")), THREE, seal="s", now=NOW)
    assert found == Limit(runs=1, wanted=3, node="n1", retry_at=NOW + RETRY, seal="s")
    assert recalled(fleet(runner(ip="")), THREE, seal="s", now=NOW) is None
    assert recalled(None, THREE, seal="s", now=NOW) is None


@pytest.mark.parametrize(
    ("more", "held"),
    [
        ({"held_since": NOW}, True),
        ({"held_since": NOW, "node": "n2"}, True),
        ({"held_since": NOW, "node": "n1"}, False),
        ({"node": "n2"}, False),
        ({"held_since": NOW, "ip": "10.0.0.2"}, False),
    ],
)
def test_who_finds_no_place(more: dict[str, Any], held: bool) -> None:
    """Who waits for a node, or elsewhere for the volume; not who only starts."""
    late = replace(runner("z", None, ip="", ready=False), **more)
    assert held_up(fleet(runner(node="n1"), late)) == ([late] if held else [])


def test_nobody_is_held_up_alone_or_while_it_rolls() -> None:
    """A first runner without a node is told otherwise; a rollout has pods that wait."""
    late = runner("z", None, ip="", ready=False, held_since=NOW)
    assert held_up(fleet(late)) == []
    assert held_up(fleet(runner(node="n1"), late, stable=False)) == []
    assert held_up(None) == []


@given(fleets, bounds, keep_alives)
def test_without_a_limit_nothing_is_different(
    found: Fleet, scaling: ScalingSettings, keep: float
) -> None:
    """Scaling is what it was wherever volumes do not count."""
    for reach in (Reach.ANYWHERE, Reach.NODE):
        action = steered(found, scaling, keep, Demand(), None, reach=reach, now=NOW).action
        assert action == decide(found, scaling, keep, Demand(), now=NOW).action


@given(fleets, bounds, keep_alives, st.integers(1, 4), st.floats(-1000, 1000))
def test_a_limit_takes_nobody_who_runs(
    found: Fleet, scaling: ScalingSettings, keep: float, runs: int, due: float
) -> None:
    """Down to zero as without it; else it takes only who waits, and grows to one more at most."""
    limit = Limit(runs=runs, wanted=9, node="n", retry_at=NOW + due)
    within = bounded(scaling, limit, reach=Reach.NODE, now=NOW)
    assert within.min_replicas <= within.max_replicas or within.max_replicas == 1
    action = steered(found, scaling, keep, Demand(), limit, reach=Reach.NODE, now=NOW).action
    if isinstance(action, Grow):
        assert action.to <= runs + (due <= 0)
    if isinstance(action, Retire) and not within.elastic:
        assert not action.runner.ip


@given(fleets, bounds)
def test_a_look_again_changes_nothing(found: Fleet, scaling: ScalingSettings) -> None:
    """What was found out is found out once."""
    late = runner("z", None, ip="", ready=False, held_since=NOW - 100)
    more = replace(found, runners=(*found.runners, late), replicas=len(found.runners) + 1)
    first = review(None, more, scaling, reach=Reach.NODE, seal="", now=NOW)
    assert review(first, more, scaling, reach=Reach.NODE, seal="", now=NOW) == first
    assert review(first, more, scaling, reach=Reach.ANYWHERE, seal="", now=NOW) is None


def test_one_pod_is_one_pod() -> None:
    """ReadWriteOncePod: one runner whatever is wanted, told from the first look on."""
    assert bounded(THREE, None, reach=Reach.POD, now=NOW) == replace(
        THREE, min_replicas=1, max_replicas=1
    )
    settings = settings_of(CLAIM, {"scaling": {"minReplicas": 2}})
    found = limited(settings, None, None, ["mine"], reach=Reach.POD, now=NOW)
    assert found is not None
    assert "2 runners may be wanted and 1 can run: PersistentVolumeClaim mine" in found.message
    assert "use a claim that offers ReadWriteMany or ReadOnlyMany" in found.message
    assert limited(settings_of(CLAIM), None, None, ["mine"], reach=Reach.POD, now=NOW) is None


def test_the_condition_lasts_as_long_as_a_trial() -> None:
    """So that it does not go and come with each."""
    limit = Limit(runs=1, wanted=2, node="n", retry_at=NOW)
    settings = settings_of(HTTP)

    def told(at: float) -> bool:
        return limited(settings, None, limit, ["c"], reach=Reach.NODE, now=at) is not None

    assert (told(NOW), told(NOW + TRIAL - 1), told(NOW + TRIAL)) == (True, True, False)
