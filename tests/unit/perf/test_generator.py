"""The load generator's report."""

import json
from typing import Any

import pytest

from tests.cluster.errors import ClusterError
from tests.perf.load.generator import Report

_DURATIONS = {"count": 3, "p50": 1.0, "p99": 2.0, "max": 3.0}


def _line(**changed: Any) -> str:
    counts = ("answers", "in_time", "errors", "not_ok", "not_ok_status", "unfinished")
    numbers = dict.fromkeys((*counts, "reconnects", "events", "bytes"), 0)
    durations = dict.fromkeys(("latency", "first_byte", "delay"), _DURATIONS)
    return json.dumps({"seconds": 2.0, **numbers, **durations, "end": True, **changed})


def test_a_report_is_read() -> None:
    """Answers that came too late are answers, but not of the rate."""
    report = Report.parse(_line(answers=12, in_time=10))
    assert report.per_second == 5.0
    assert report.latency.p99 == 2.0
    assert not report.complaint


def test_what_went_wrong_is_told_in_words() -> None:
    """Broken connections and refusals apart."""
    report = Report.parse(_line(errors=2, not_ok=3, not_ok_status=503))
    assert report.bad == 5
    assert report.complaint == "2 broken, 3 with status 503"


@pytest.mark.parametrize("line", ["", "{}", "Killed", _line(new=1)])
def test_anything_else_is_an_error_that_quotes_it(line: str) -> None:
    """A generator of another version, or one that was killed."""
    with pytest.raises(ClusterError, match="the load generator said"):
        Report.parse(line)
