"""Nothing is silent for long."""

import io
import re

from tests.cluster.progress import Progress
from tests.cluster.waiting import wait_until


def test_a_long_step_is_repeated_with_its_detail() -> None:
    """A line per interval, with the elapsed time in front."""
    told = io.StringIO()
    with Progress(told, interval=0.01).during("compiling", lambda: "12 of 40"):
        wait_until("a second line", lambda: told.getvalue().count("12 of 40") > 1, interval=0.01)
    lines = told.getvalue().splitlines()
    assert re.fullmatch(r" +\d+\.\d s  compiling", lines[0])
    assert re.fullmatch(r" +\d+\.\d s  compiling: 12 of 40", lines[1])
