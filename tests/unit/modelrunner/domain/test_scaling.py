"""When runners go and come: what never happens whatever is seen, and what does happen."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner.domain.fleet import Fleet
from modelrunner.domain.scaling import (
    DRAINING,
    GRACE,
    KEEP,
    POLL,
    REST,
    SETTLE,
    WINDOW,
    Action,
    Demand,
    Grow,
    Keep,
    Reopen,
    Retire,
    Sleep,
    asked_keep_alive,
    decide,
    idle_deadline,
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
    says,
)

ELASTIC = replace(BOUNDS, max_replicas=3, elastic=True)
LOADS = st.lists(st.tuples(st.floats(0, 60), st.integers(0, 30)), max_size=60)


def history(*loads: int, every: float = POLL) -> Demand:
    """Samples up to now, so far apart."""
    found = Demand()
    for number, load in enumerate(loads):
        found = found.seen(NOW - every * (len(loads) - 1 - number), load)
    return found


CALM = history(*[0] * 40)
histories = st.sampled_from([Demand(), CALM, history(*[20] * 40), history(20, *[1] * 40)])


def action(found: Fleet, scaling: Any = BOUNDS, keep: float = 300, demand: Demand = CALM) -> Action:
    """What is done."""
    return decide(found, scaling, keep, demand, now=NOW).action


@given(fleets, bounds, keep_alives, histories)
def test_what_is_not_known_never_scales_down(
    found: Fleet, scaling: Any, keep: float, demand: Demand
) -> None:
    """Down only when every runner that has started has said that it serves, or is closed."""
    done = action(found, scaling, keep, demand)
    if isinstance(done, Sleep | Retire):
        assert found.stable
        for one in found.started:
            assert one.status is not None
            assert one.closed or (one.ready and one.status.state == "ready")


@given(fleets, bounds, keep_alives, histories)
def test_nobody_who_is_in_or_waits_is_put_out(
    found: Fleet, scaling: Any, keep: float, demand: Demand
) -> None:
    """All doors at once only over an idle fleet, whose every runner has a door."""
    done = action(found, scaling, keep, demand)
    if isinstance(done, Sleep):
        assert found.load == 0
        assert list(done.runners) == found.started
        assert all(one.closable for one in done.runners)


@given(fleets, bounds, keep_alives, histories)
def test_the_bounds_hold(found: Fleet, scaling: Any, keep: float, demand: Demand) -> None:
    """Never below minReplicas, never above maxReplicas, down by one, up by at least one."""
    match action(found, scaling, keep, demand):
        case Sleep():
            assert scaling.min_replicas == 0
        case Grow(to):
            assert found.replicas < to <= scaling.max_replicas
        case Retire(leaving, to):
            assert leaving in found.runners
            assert to == found.replicas - 1 >= max(1, scaling.min_replicas)
            assert scaling.elastic
        case Keep() | Reopen():
            pass


@given(fleets, bounds, keep_alives, histories)
def test_sleep_has_its_time(found: Fleet, scaling: Any, keep: float, demand: Demand) -> None:
    """Idle for the keep-alive; never when it is negative; a minute at least after each start."""
    if not isinstance(action(found, scaling, keep, demand), Sleep):
        return
    asked = asked_keep_alive(found, keep)
    assert asked >= 0
    for one in found.started:
        assert one.status is not None
        used = one.status.last_used_at
        assert NOW - one.up_since >= asked
        if used is None or used < one.up_since:
            assert NOW - one.up_since >= max(asked, GRACE)
        else:
            assert NOW - used >= asked


@given(fleets, bounds, keep_alives, histories)
def test_nothing_grows_while_cold(found: Fleet, scaling: Any, keep: float, demand: Demand) -> None:
    """Demand adds runners only when all there are have been at work for a while."""
    done = action(found, scaling, keep, demand)
    if isinstance(done, Grow) and found.replicas >= scaling.min_replicas:
        assert all(one.ip and one.ready for one in found.runners)
        assert all(one.up_since <= NOW - SETTLE for one in found.runners)
        assert not any(one.closed for one in found.runners)


@given(fleets, bounds, keep_alives, histories)
def test_the_next_look_comes(found: Fleet, scaling: Any, keep: float, demand: Demand) -> None:
    """What is awake is looked at again, in time and not in a loop; what sleeps is not."""
    course = decide(found, scaling, keep, demand, now=NOW)
    if course.action is KEEP and not (found.replicas and found.started):
        assert course.look_after is None
        return
    assert course.look_after is not None
    assert 0 < course.look_after <= REST
    deadline = idle_deadline(found, scaling, keep, NOW)
    if deadline is not None and deadline > NOW and found.stable:
        assert course.look_after <= max(POLL, DRAINING)
        assert NOW + course.look_after <= deadline or isinstance(course.action, Retire | Grow)


@given(st.integers(0, 30), LOADS)
def test_the_peak_is_that_of_the_window(first: int, steps: list[tuple[float, int]]) -> None:
    """As if all samples had been kept; unknown until a whole window has been seen without a gap."""
    now, since = NOW, NOW
    demand, samples = Demand().seen(now, first), [(now, first)]
    for wait, load in steps:
        now += wait
        if wait > 3 * POLL:
            samples, since = [], now
        samples.append((now, load))
        demand = demand.seen(now, load)
        inside = [one for at, one in samples if now - at < WINDOW]
        assert demand.peak(now) == (max(inside) if now - since >= WINDOW else None)


@pytest.mark.parametrize(
    ("found", "keep", "sleeps"),
    [
        (fleet(runner()), 300, True),
        (fleet(runner()), 1000, True),
        (fleet(runner()), 1000.5, False),
        (fleet(runner()), -1, False),
        (fleet(says(in_flight=1)), 0, False),
        (fleet(says(held=1)), 0, False),
        (fleet(runner(status=None)), 0, False),
        (fleet(runner(), runner("b", None)), 0, False),
        (fleet(runner(), runner("b", None, ip="")), 0, True),
        (fleet(runner(ready=False)), 0, False),
        (fleet(runner(closable=False)), 0, False),
        (fleet(runner(), stable=False), 0, False),
        (fleet(says(closed_until=NOW + 9), runner("b")), 0, True),
        (fleet(runner(status=replace(STATUS, closed_until=NOW - 99), ready=False)), 0, True),
        (fleet(says(last_used_at=None, warmed_at=NOW - 59)), 0, False),
        (fleet(says(last_used_at=None, warmed_at=NOW - 60)), 0, True),
        (fleet(says(last_used_at=NOW - 400, warmed_at=NOW - 59)), 0, False),
        (fleet(says(last_used_at=None, warmed_at=None, engine_ready_at=NOW - 60)), 0, True),
        (fleet(says(last_used_at=None, warmed_at=None, started_at=NOW - 59)), 0, False),
        (fleet(says(last_used_at=NOW)), 0, True),
        (fleet(says(last_used_at=NOW + 5)), 0, False),
        (fleet(says(keep_alive=-1.0)), 0, False),
        (fleet(says(keep_alive=0.0)), -1, True),
        (fleet(says(keep_alive=1e300)), 0, False),
        (fleet(replicas=0), 0, False),
        (fleet(runner(ip="")), 0, False),
    ],
)
def test_sleep(found: Fleet, keep: float, sleeps: bool) -> None:
    """Every rule of its own."""
    assert isinstance(action(found, keep=keep), Sleep) is sleeps


def test_min_replicas_wake_and_stay() -> None:
    """From zero too, and whatever is known of those that are there."""
    two = replace(BOUNDS, min_replicas=2, max_replicas=2)
    assert action(fleet(replicas=0), two) == Grow(2, "minReplicas is 2")
    assert action(fleet(runner(status=None)), two) == Grow(2, "minReplicas is 2")
    assert action(fleet(runner(), runner("b")), two) is KEEP


def test_the_keep_alive_of_the_request_that_came_last_counts() -> None:
    """Of the runner that was used last among those that were told one."""
    old = says(keep_alive=-1.0, last_used_at=NOW - 50)
    new = runner("b", replace(STATUS, keep_alive=5.0, last_used_at=NOW - 40))
    silent = runner("c", replace(STATUS, last_used_at=NOW - 30))
    assert asked_keep_alive(fleet(old, new, silent), 300) == 5
    assert asked_keep_alive(fleet(silent), 300) == 300
    assert isinstance(action(fleet(old, new, silent)), Sleep)


@pytest.mark.parametrize(
    ("load", "runners", "expected"),
    [(8, 1, None), (9, 1, 2), (17, 1, 3), (900, 1, 3), (16, 2, None), (17, 2, 3)],
)
def test_demand_adds_runners_at_once(load: int, runners: int, expected: int | None) -> None:
    """As many as are right for the load, up to the maximum."""
    found = [runner(str(number)) for number in range(runners)]
    found[0] = says(in_flight=load - load // 3, held=load // 3)
    done = action(fleet(*found), ELASTIC, demand=history(load))
    assert (done.to if isinstance(done, Grow) else None) == expected


def test_without_a_maximum_demand_changes_nothing() -> None:
    """Others may scale then."""
    assert action(fleet(says(in_flight=900))) is KEEP
    three = fleet(says(in_flight=1), runner("b"), runner("c"))
    assert action(three) is KEEP


def test_lower_demand_takes_one_after_a_window() -> None:
    """Not before it has been seen whole, not while its peak needs them, and the newest first."""
    young = runner("young", replace(STATUS, in_flight=2), created=NOW - 10)
    found = fleet(says(in_flight=1), young, runner("c"))
    assert action(found, ELASTIC, demand=history(*[3] * 30)) is KEEP
    assert action(found, ELASTIC, demand=history(*[3] * 5, 20, *[3] * 29)) is KEEP
    done = action(found, ELASTIC, demand=history(20, *[3] * 30))
    assert isinstance(done, Retire)
    assert (done.runner.name, done.to) == ("young", 2)
    assert done.why == "at most 3 requests at once for 5m0s, 8 are right for a runner"
    above = replace(ELASTIC, max_replicas=2)
    assert isinstance(action(found, above, demand=history(*[99] * 40)), Retire)


def test_who_goes_first() -> None:
    """Whom Kubernetes would take: not started, then marked; else closed already, then the newest."""
    busy = replace(STATUS, in_flight=1)
    closed = replace(STATUS, closed_until=NOW + 5)
    newest = runner("z", busy, created=NOW)
    for first in (
        runner("a", None, ip=""),
        runner("a", busy, marked=True),
        runner("a", closed, ready=False),
    ):
        done = action(fleet(newest, first, runner("m", busy)), ELASTIC, demand=history(*[2] * 40))
        assert isinstance(done, Retire)
        assert done.runner == first
    doorless = fleet(runner("b", busy), runner("z", busy, created=NOW, closable=False))
    assert action(doorless, ELASTIC, demand=history(*[2] * 40)) is KEEP


def test_doors_open_again_when_nobody_goes() -> None:
    """Instead of a new runner, and when an operator before us has left them closed."""
    shut = runner("b", replace(STATUS, closed_until=NOW + 5), ready=False)
    assert action(fleet(says(in_flight=30), shut), ELASTIC) == Reopen((shut,))
    assert action(fleet(says(in_flight=1), shut)) == Reopen((shut,))


def test_polls_are_as_rare_as_they_may_be() -> None:
    """At the deadline exactly, every ten seconds before; once a minute where time does nothing."""

    def after(found: Fleet, scaling: Any = BOUNDS, keep: float = 300) -> float | None:
        return decide(found, scaling, keep, Demand(), now=NOW).look_after

    assert after(fleet(says(last_used_at=NOW - 297))) == 3
    assert after(fleet(says(last_used_at=NOW - 100))) == POLL
    assert after(fleet(runner()), keep=-1) == REST
    assert after(fleet(runner()), replace(BOUNDS, min_replicas=1)) == REST
    assert after(fleet(runner()), ELASTIC, keep=-1) == POLL
    assert after(fleet(runner(status=None))) == POLL
    assert after(fleet(replicas=0)) is None
