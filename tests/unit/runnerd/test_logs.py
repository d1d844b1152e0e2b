"""JSON log lines."""

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest

from runnerd.logs import fields, set_up


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_line() -> None:
    """One record is one JSON object with time, level, text and its fields."""
    stream = io.StringIO()
    set_up("info", stream)
    log = logging.getLogger("x")
    log.info("said\n%s", "twice", extra=fields(pid=5, path="ü"))
    log.debug("not this")
    line = json.loads(stream.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("ts"))
    assert line == {"level": "info", "msg": "said\ntwice", "pid": 5, "path": "ü"}


def test_trace() -> None:
    """An exception of ours stays one line."""
    stream = io.StringIO()
    set_up("nonsense", stream)
    try:
        int("told")
    except ValueError:
        logging.getLogger("x").exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert "ValueError: invalid literal" in json.loads(line)["trace"]
