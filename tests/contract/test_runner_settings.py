"""docs/reference/runner-settings.md tells every setting of the runner and its default."""

import dataclasses
import re

from modelrunner_protocol.durations import format_duration, parse_duration
from runnerd import config
from runnerd.weights import settings
from tests.cluster.settings import ROOT

PAGE = (ROOT / "docs/reference/runner-settings.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| `([A-Z_]+)` \| `?([^|`]+?)`? \|", PAGE, re.MULTILINE))


def test_every_limit_of_the_runner_is_told() -> None:
    """Each numeric field of the runner's settings has a row with its default."""
    fields = dataclasses.fields(config.Settings)
    limits = {
        field.name: field.default for field in fields if isinstance(field.default, int | float)
    }
    assert len(limits) >= 10
    for name, default in limits.items():
        assert float(ROWS[f"RUNNERD_{name.upper()}"]) == default


def test_every_bound_of_a_pull_is_told() -> None:
    """Each number of the pull's settings has a row with its default."""
    defaults = settings.Settings()
    assert int(ROWS[settings.CONNECTIONS]) == defaults.connections
    assert (ROWS[settings.BANDWIDTH], defaults.bandwidth) == ("none", 0)
    assert (ROWS[settings.TIMEOUT], defaults.timeout) == ("none", None)


def test_every_patience_of_a_pull_is_told() -> None:
    """Each duration of the pull's settings has a row with its default."""
    defaults = settings.Settings()
    told = {
        settings.RESOLVE_TIMEOUT: defaults.resolve_timeout,
        settings.STALL_TIMEOUT: defaults.stall_timeout,
        settings.GIVE_UP_AFTER: defaults.give_up_after,
    }
    for variable, default in told.items():
        assert format_duration(parse_duration(ROWS[variable])) == format_duration(default)
