"""What a pull does, told once each: events by what was written and what is to be written. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from modelrunner.api.text import format_size
from modelrunner.api.v1alpha1.values import ConditionType
from modelrunner.domain.cache import CacheDecision
from modelrunner.domain.conditions import find
from modelrunner.domain.downloads import STALLED, pulled_words, trouble
from modelrunner.domain.effective import Effective
from modelrunner.domain.jobs import JobView
from modelrunner.domain.objects import number, parse_time, text
from modelrunner.reconcilers.plan import Event
from modelrunner_protocol.durations import format_duration
from modelrunner_protocol.sources import describe
from modelrunner_protocol.wire import Progress


def pull_events(
    settings: Effective,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    progress: Progress | None,
    now: float,
) -> Iterator[Event]:
    """What happened to a pull between the status that is stored and the one that is to be."""
    before, after = old.get("download") or {}, new.get("download") or {}
    if number(after, "resumedBytes") and not number(before, "resumedBytes"):
        yield Event("Normal", "PullResumed", _resumed(after))
    since, told = text(after, "stalledSince"), text(before, "stalledSince")
    if since and since != told:
        note = f"{describe(settings.source)}: {trouble(progress)}"
        yield Event("Warning", "PullStalled", note)
    if told and after and not since:
        yield Event("Normal", "PullRecovered", _recovered(after, now - (parse_time(told) or now)))


def pulled_event(
    settings: Effective, old: Mapping[str, Any], cache: CacheDecision, pull: JobView | None
) -> Event | None:
    """The weights are in the cache, and were not before; None when there is nothing new."""
    before = find(old, ConditionType.CACHED)
    known = before is not None and before.get("status") == "True"
    if known or settings.in_place or not cache.complete or cache.artifact is None:
        return None
    outcome = pull.outcome if pull is not None else None
    note = f"{describe(settings.source)}: {pulled_words(cache.artifact.size_bytes, outcome)}"
    return Event("Normal", "Pulled", note)


def _resumed(download: Mapping[str, Any]) -> str:
    held, total = number(download, "resumedBytes"), number(download, "totalBytes")
    if not total:
        return f"{format_size(held)} are there already"
    return f"{held * 100 // total} % of {format_size(total)} are there already"


def _recovered(download: Mapping[str, Any], silence: float) -> str:
    length = format_duration(round(max(silence, STALLED)))
    done, total = number(download, "completedBytes"), number(download, "totalBytes")
    share = f"{format_size(done)} of {format_size(total)}" if total else format_size(done)
    return f"bytes come again after {length}: {share} are there"
