"""How a pull is told: in `status.download`, in words, and what it took once it has ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelrunner.api.text import format_progress, format_size
from modelrunner.domain.jobs import JobState, JobView
from modelrunner.domain.objects import format_time, parse_time, text
from modelrunner_protocol.durations import format_duration
from modelrunner_protocol.wire import Outcome, Progress

STALLED: Final = 60.0
"""Seconds without a byte after which a pull is called stalled."""

# So far two looks may be apart in when they think that a silence began.
_SAME_SILENCE: Final = 10.0
# Words that changed with every look would be written with every look.
_STEPS: Final = (60, 120, 300, 600, 1200, 1800, 3600)
_SILENT: Final = "the source sends nothing; its connections are made anew"


@dataclass(frozen=True, slots=True, kw_only=True)
class PullEnd:
    """What one pull Job came to, for counting: `result` is success, retry or failure.

    `job` is its uid, `source` the kind of its source; `finished_at` is seconds since the epoch.
    """

    job: str
    source: str
    result: str
    finished_at: float
    downloaded_bytes: int = 0
    seconds: float = 0.0
    retries: int = 0


def download_status(
    progress: Progress, old: Mapping[str, Any] | None = None, *, now: float
) -> dict[str, Any]:
    """`status.download`: how far the pull is, after the `old` one."""
    total, done = progress.total_bytes, progress.completed_bytes
    percent = min(100, done * 100 // total) if total else None
    speed, eta = progress.bytes_per_second, progress.eta_seconds
    since = _stalled_since(progress, old or {}, now)
    words = format_progress(percent, None if since else speed, eta) or format_size(done)
    found: dict[str, Any] = {
        "completedBytes": done,
        "totalBytes": total,
        "percent": percent,
        "bytesPerSecond": round(speed) if speed is not None else None,
        "etaSeconds": round(eta) if eta is not None else None,
        "resumedBytes": progress.resumed_bytes or None,
        "stalledSince": since or None,
        "progress": f"{words} stalled" if since else words,
    }
    return {key: value for key, value in found.items() if value is not None}


def trouble(progress: Progress | None) -> str:
    """Why a pull makes no way, and since when; "" when it does."""
    if progress is None or not is_stalled(progress):
        return progress.message if progress is not None else ""
    idle = progress.idle_seconds or 0.0
    step = max(step for step in _STEPS if step <= idle)
    why = progress.message or _SILENT
    return f"no byte for more than {format_duration(step)}: {why}"


def is_stalled(progress: Progress) -> bool:
    """Whether no byte has come for so long that people are told."""
    return (progress.idle_seconds or 0.0) >= STALLED


def pull_end(job: str, source: str, view: JobView) -> PullEnd | None:
    """What there is to count of a Job; None while it has not ended."""
    if view.state not in {JobState.SUCCEEDED, JobState.FAILED}:
        return None
    told = view.outcome or Outcome()
    result = "retry" if view.retryable else "failure"
    return PullEnd(
        job=job,
        source=source,
        result="success" if view.state is JobState.SUCCEEDED else result,
        finished_at=view.finished_at,
        downloaded_bytes=told.downloaded_bytes,
        seconds=told.seconds,
        retries=told.retries,
    )


def pulled_words(size: int, outcome: Outcome | None) -> str:
    """How the weights, `size` bytes, came into the cache."""
    came = outcome.downloaded_bytes if outcome is not None else 0
    if outcome is None or not came:
        return f"{format_size(size)}, in the cache already: nothing was downloaded"
    seconds = max(outcome.seconds, 0.001)
    share = format_size(came) if came >= size else f"{format_size(came)} of {format_size(size)}"
    words = [f"{share} in {format_duration(max(1, round(seconds)))}"]
    words.append(f"{format_size(came / seconds)}/s")
    if outcome.retries:
        words.append(f"{outcome.retries} {'retry' if outcome.retries == 1 else 'retries'}")
    return ", ".join(words)


def _stalled_since(progress: Progress, old: Mapping[str, Any], now: float) -> str:
    """When the silence began, "" without one; a time that was told stays as it was told."""
    if not is_stalled(progress):
        return ""
    since = now - (progress.idle_seconds or 0.0)
    told = text(old, "stalledSince")
    before = parse_time(told) if told else None
    same = before is not None and abs(before - since) <= _SAME_SILENCE
    return told if same else format_time(since)
