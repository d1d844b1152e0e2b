"""How streams of events end that fail."""

import errno
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from modelrunner_protocol.dmr import Kind, Line, Way
from modelrunner_protocol.reasons import Reason
from runnerd.standalone.catalogue.refusal import PullRefusedError
from runnerd.standalone.catalogue.telling import telling
from runnerd.weights.failure import DeniedError, MissingError, TransientError, WeightsError

FIRST = Line(kind=Kind.PROGRESS, message="one")
UNSUPPORTED = WeightsError("no", reason=Reason.UNSUPPORTED_FORMAT)
FAILURES = [
    (DeniedError("no"), 401, "no"),
    (MissingError("no"), 404, "no"),
    (UNSUPPORTED, 422, "no"),
    (WeightsError("no", reason=Reason.INVALID_CONFIGURATION), 400, "no"),
    (WeightsError("no"), 500, "no"),
    (TransientError("no"), 500, "no"),
    (OSError(errno.EROFS, "Read-only file system"), 500, "read-only"),
    (KeyError("secret"), 500, "an unexpected KeyError: see the server's log"),
]


async def _events(error: Exception | None, *lines: Line) -> AsyncGenerator[Line, None]:
    for line in lines:
        yield line
    if error is not None:
        raise error


@pytest.mark.parametrize(("error", "status", "says"), FAILURES)
async def test_failure_before_the_first_event(
    error: Exception, status: int, says: str, tmp_path: Path
) -> None:
    """It is a refusal with the status that fits, whatever it was."""
    with pytest.raises(PullRefusedError, match=says) as refused:
        await anext(telling(_events(error), "pulling x", tmp_path))
    assert refused.value.status == status
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(("error", "status", "says"), FAILURES)
async def test_failure_after_the_first_event(
    error: Exception, status: int, says: str, tmp_path: Path
) -> None:
    """It is the last event."""
    told = telling(_events(error, FIRST), "pulling x", tmp_path, Way.PUSH)
    first, last = [event async for event in told]
    assert first == FIRST
    assert (last.kind, last.way) == (Kind.ERROR, Way.PUSH)
    assert last.message.startswith("Error: ")
    assert says in last.message
    assert "secret" not in last.message
    assert status >= 400


async def test_all_went_well(tmp_path: Path) -> None:
    """Then nothing is added."""
    events = [event async for event in telling(_events(None, FIRST), "pulling x", tmp_path)]
    assert events == [FIRST]


async def test_listener_that_leaves(tmp_path: Path) -> None:
    """What makes the events is closed with them."""
    closed = []

    async def endless() -> AsyncGenerator[Line, None]:
        try:
            while True:
                yield FIRST
        finally:
            closed.append(True)

    told = telling(endless(), "pulling x", tmp_path)
    await anext(told)
    await told.aclose()
    assert closed == [True]
