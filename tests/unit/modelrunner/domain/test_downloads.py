"""How a pull is told."""

from dataclasses import replace
from typing import Any

import pytest

from modelrunner.domain.downloads import (
    PullEnd,
    download_status,
    pull_end,
    pulled_words,
    trouble,
)
from modelrunner.domain.jobs import JobState, JobView
from modelrunner.domain.objects import format_time
from modelrunner_protocol.wire import Outcome, Progress, PullPhase
from tests.unit.modelrunner.domain.pod_json import NOW

MIB = 1 << 20
HALF = Progress(
    phase=PullPhase.DOWNLOADING,
    completed_bytes=50,
    total_bytes=100,
    bytes_per_second=0.0,
    idle_seconds=75.0,
)


def test_a_download_of_unknown_length() -> None:
    """What is not known is left out; there is always something to read."""
    progress = Progress(phase=PullPhase.DOWNLOADING, completed_bytes=2048)
    assert download_status(progress, now=NOW) == {"completedBytes": 2048, "progress": "2.0 KiB"}


def test_what_was_there_is_told() -> None:
    """Bytes of an earlier try are named beside all that are there."""
    found = download_status(replace(HALF, idle_seconds=1.0, resumed_bytes=40), now=NOW)
    assert found["resumedBytes"] == 40
    assert "stalledSince" not in found


def test_a_silence_is_written_once() -> None:
    """As long as it lasts the value is the same at every look, by whatever clock it is measured."""
    first = download_status(HALF, now=NOW)
    assert first["stalledSince"] == format_time(NOW - 75)
    assert first["progress"] == "50% stalled"
    for later, idle in ((2.0, 77.4), (60.0, 133.0), (300.0, 379.0)):
        again = download_status(replace(HALF, idle_seconds=idle), first, now=NOW + later)
        assert again == first


def test_another_silence_is_another() -> None:
    """One that began later, while nobody looked, is told anew."""
    first = download_status(HALF, now=NOW)
    again = download_status(HALF, first, now=NOW + 100)
    assert again["stalledSince"] == format_time(NOW + 25)


@pytest.mark.parametrize(
    ("idle", "message", "says"),
    [
        (None, "", ""),
        (59.9, "", ""),
        (3.0, "the server answered 503; trying again", "the server answered 503; trying again"),
        (60.0, "why", "no byte for more than 1m0s: why"),
        (299.0, "why", "no byte for more than 2m0s: why"),
        (90000.0, "why", "no byte for more than 1h0m0s: why"),
        (
            61.0,
            "",
            "no byte for more than 1m0s: the source sends nothing; its connections are made anew",
        ),
    ],
)
def test_why_nothing_comes(idle: float | None, message: str, says: str) -> None:
    """In steps that do not change with each look."""
    assert trouble(replace(HALF, idle_seconds=idle, message=message)) == says


def test_no_progress_is_no_trouble() -> None:
    """Of a pod that does not answer nothing is known."""
    assert trouble(None) == ""


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (None, "92.1 MiB, in the cache already: nothing was downloaded"),
        (Outcome(seconds=2.0), "92.1 MiB, in the cache already: nothing was downloaded"),
        (Outcome(downloaded_bytes=96573440, seconds=35.2), "92.1 MiB in 35s, 2.6 MiB/s"),
        (
            Outcome(downloaded_bytes=10 * MIB, seconds=0.4, retries=1),
            "10.0 MiB of 92.1 MiB in 1s, 25.0 MiB/s, 1 retry",
        ),
        (
            Outcome(downloaded_bytes=10 * MIB, seconds=100, retries=3),
            "10.0 MiB of 92.1 MiB in 1m40s, 102.4 KiB/s, 3 retries",
        ),
    ],
)
def test_how_the_weights_came(outcome: Outcome | None, words: str) -> None:
    """Size, time and speed; or that nothing had to come."""
    assert pulled_words(96573440, outcome) == words


@pytest.mark.parametrize(
    ("view", "found"),
    [
        ({"state": JobState.RUNNING}, None),
        ({"state": JobState.GOING}, None),
        ({"state": JobState.SUCCEEDED}, "success"),
        ({"state": JobState.FAILED, "retryable": True}, "retry"),
        ({"state": JobState.FAILED}, "failure"),
    ],
)
def test_what_is_counted(view: dict[str, Any], found: str | None) -> None:
    """Only Jobs that ended; what a killed one took nobody knows."""
    for outcome in (None, Outcome(downloaded_bytes=7, seconds=2.5, retries=1)):
        end = pull_end("uid", "oci", JobView(attempt=1, finished_at=NOW, outcome=outcome, **view))
        told = outcome or Outcome()
        assert end == (
            PullEnd(
                job="uid",
                source="oci",
                result=found,
                finished_at=NOW,
                downloaded_bytes=told.downloaded_bytes,
                seconds=told.seconds,
                retries=told.retries,
            )
            if found
            else None
        )
