"""The probes: restart when only that helps, ready when the job is done."""

from typing import Any, cast

import pytest

from modelrunner.gateway.backoffice.standing import Standing
from modelrunner.telemetry.lag import LoopLag


class Feed:
    """A feed of the route table, or of keys."""

    def __init__(self, trouble: str = "", age: float | None = 1.0) -> None:
        self.trouble = trouble
        self.age = age


def standing(
    feed: Feed | None = None,
    keys: Feed | None = None,
    *,
    serving: bool = False,
    draining: bool = False,
) -> Standing:
    """A process with these feeds."""
    table, ring = cast("Any", feed or Feed()), cast("Any", keys)
    return Standing(table, ring, LoopLag(), lambda: 3, serving=serving, draining=draining)


@pytest.mark.parametrize(
    ("serving", "draining", "ready"),
    [(False, False, False), (True, False, True), (True, True, False)],
)
def test_ready_from_the_first_list_until_the_end_is_near(
    serving: bool, draining: bool, ready: bool
) -> None:
    """Nothing is sent to a replica that knows nothing, or that will go."""
    report = standing(serving=serving, draining=draining).ready()
    assert report.ok is ready
    assert report.details["models"] == 3
    assert ("draining" in report.details) is draining


def test_an_api_server_that_went_away_changes_nothing_but_the_words() -> None:
    """All replicas lose it at once: not ready would mean that nobody serves."""
    report = standing(Feed("cannot connect", age=500.0), serving=True).ready()
    assert report.ok
    assert report.details["trouble"] == "cannot connect"
    assert report.details["tableAgeSeconds"] == 500.0


def test_what_hinders_the_start_is_told() -> None:
    """Of the keys too."""
    report = standing(Feed(age=None), Feed("secrets is forbidden")).ready()
    assert not report.ok
    assert report.details == {
        "models": 3,
        "tableAgeSeconds": None,
        "trouble": "secrets is forbidden",
    }


def test_a_loop_that_stands_still_is_not_alive() -> None:
    """Whoever is answered at all learns how late the loop was."""
    found = standing()
    assert found.live().ok
    cast("Any", found.lag)._lag = 6.0
    assert not found.live().ok
    assert found.live().details == {"loopLagSeconds": 6.0}
