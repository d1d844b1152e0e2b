"""What is told of a Model's use, and how rarely."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from modelrunner.domain.effective import GatewaySettings
from modelrunner.domain.objects import format_time
from modelrunner.domain.usage import Usage, gateway_status, usage_of, with_usage
from tests.unit.modelrunner.domain.fleets import (
    BOUNDS,
    NOW,
    STATUS,
    fleet,
    fleets,
    keep_alives,
    runner,
    says,
)

T0 = 1_795_255_200.0
STORED = {
    "phase": "Ready",
    "lastUsedTime": format_time(T0),
    "idleDeadline": format_time(T0 + 300),
}
READY = {"phase": "Ready"}


def told(usage: Usage, now: float, *, written_at: float = T0, status: Any = READY) -> Any:
    """The status that is stored next."""
    return with_usage(status, STORED, usage, now=now, written_at=written_at)


def used(at: float) -> Usage:
    """Used then, with five minutes to live."""
    return Usage(last_used=at, deadline=at + 300, settled=True)


def test_use_alone_waits_for_its_minute() -> None:
    """Nothing is written before, and then the newest."""
    assert told(used(T0 + 50), T0 + 59.9) == STORED
    assert told(used(T0 + 50), T0 + 60) == {
        "phase": "Ready",
        "lastUsedTime": format_time(T0 + 50),
        "idleDeadline": format_time(T0 + 350),
    }


def test_use_goes_along_with_any_other_write() -> None:
    """It costs nothing then."""
    found = told(used(T0 + 5), T0 + 6, status={"phase": "Idle"})
    assert found["lastUsedTime"] == format_time(T0 + 5)


def test_no_use_is_no_write() -> None:
    """Parts of a second are not told, so they make no difference."""
    assert told(used(T0 + 0.9), T0 + 9999) == STORED


def test_what_is_not_known_keeps_what_was() -> None:
    """A runner that gives no answer, and a new one that nobody has used."""
    assert told(Usage(), T0 + 999) == STORED
    assert told(Usage(last_used=T0 - 50), T0 + 999) == STORED


def test_a_deadline_goes_when_there_is_none() -> None:
    """Asleep, or never to sleep; the last use is kept."""
    found = told(Usage(settled=True), T0 + 999)
    assert found == {"phase": "Ready", "lastUsedTime": format_time(T0)}


@given(st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=80))
def test_at_most_one_write_a_minute(steps: list[tuple[float, bool]]) -> None:
    """Whatever the use, and none that changes nothing."""
    now, written_at, stored, last = T0, T0, dict(STORED), T0
    for wait, busy in steps:
        now += wait
        last = now if busy else last
        new = with_usage(READY, stored, used(last), now=now, written_at=written_at)
        if new != stored:
            assert now - written_at >= 60
            written_at, stored = now, new
    now = written_at + 61
    stored = with_usage(READY, stored, used(last), now=now, written_at=written_at)
    assert stored["lastUsedTime"] == format_time(last)


@given(fleets, keep_alives, st.none() | st.floats(NOW - 9999, NOW))
def test_the_use_of_any_fleet_can_be_written(found: Any, keep: float, before: Any) -> None:
    """Never before what was known, never in the future, always a date."""
    usage = usage_of(found, BOUNDS, keep, before=before, now=NOW)
    if before is not None:
        assert usage.last_used is not None
        assert before <= usage.last_used
    assert usage.last_used is None or usage.last_used <= NOW
    with_usage(READY, {}, usage, now=NOW, written_at=0)


def test_the_use_of_a_fleet() -> None:
    """The latest of all; now while somebody is in; what was known when nobody can be asked."""
    early = runner("b", replace(STATUS, last_used_at=NOW - 3000))
    both = fleet(runner(), early)
    usage = usage_of(both, BOUNDS, 2000, before=None, now=NOW)
    assert usage == Usage(last_used=NOW - 1000, deadline=NOW + 1000, settled=True)
    busy = usage_of(fleet(says(in_flight=1)), BOUNDS, 300, before=None, now=NOW)
    assert (busy.last_used, busy.deadline) == (NOW, NOW + 300)
    asleep = usage_of(fleet(replicas=0), BOUNDS, 300, before=NOW - 9, now=NOW)
    assert asleep == Usage(last_used=NOW - 9, settled=True)
    silent = usage_of(fleet(runner(status=None)), BOUNDS, 300, before=NOW - 9, now=NOW)
    assert silent == Usage(last_used=NOW - 9)
    assert usage_of(None, BOUNDS, 300, before=5.0, now=NOW) == Usage(last_used=5.0)


def test_what_the_gateway_reads() -> None:
    """Limits only where there are some."""
    settings = GatewaySettings(
        max_held=7, timeout=90, concurrent_requests=None, requests_per_minute=None
    )
    activation = {"maxHeld": 7, "timeoutSeconds": 90}
    assert gateway_status(settings) == {"activation": activation}
    limited = replace(settings, requests_per_minute=5)
    assert gateway_status(limited) == {
        "activation": activation,
        "limits": {"requestsPerMinute": 5},
    }
