"""What happens, told once each: events by what was written and what is to be written. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from modelrunner.api.text import format_size
from modelrunner.api.v1alpha1.values import ConditionType
from modelrunner.domain.cache import CacheDecision
from modelrunner.domain.conditions import find
from modelrunner.domain.decision import Decision, World
from modelrunner.domain.downloads import STALLED, PullEnd, pull_end, pulled_words, trouble
from modelrunner.domain.effective import Effective
from modelrunner.domain.jobs import JobView
from modelrunner.domain.objects import Object, number, parse_time, text, uid_of
from modelrunner.reconcilers.observation import Observation
from modelrunner.reconcilers.plan import Event
from modelrunner_protocol.durations import format_duration
from modelrunner_protocol.reasons import PROGRESSING, Reason
from modelrunner_protocol.sources import describe, source_kind

_GOOD: Final = PROGRESSING | {Reason.READY, Reason.SCALED_TO_ZERO}


def beside_events(model: Object, world: World) -> Iterator[Event]:
    """Events of the conditions that stand beside the others."""
    beside = (
        (ConditionType.NAME_CONFLICT, world.lost_names),
        (ConditionType.REPLICAS_LIMITED, world.limited),
    )
    for kind, problem in beside:
        if problem is not None and find(model.get("status"), kind) is None:
            yield Event("Warning", str(problem.reason), problem.message)


def turn_events(model: Object, decision: Decision) -> Iterator[Event]:
    """The new reason of a Model, when it is another one."""
    status = model.get("status")
    kinds = (ConditionType.STALLED, ConditionType.RECONCILING, ConditionType.READY)
    found = next((one for kind in kinds if (one := find(status, kind)) is not None), None)
    head = decision.headline
    if found is None or found.get("reason") != head.reason:
        good = head.reason in _GOOD
        yield Event("Normal" if good else "Warning", str(head.reason), head.message)


def pull_events(
    seen: Observation, status: Mapping[str, Any], cache: CacheDecision | None, pull: JobView | None
) -> Iterator[Event]:
    """What happened between the status that is stored and the one that is to be written."""
    if seen.settings is None or cache is None:
        return
    yield from _turns(seen, seen.settings, status)
    if (event := _pulled(seen, seen.settings, cache, pull)) is not None:
        yield event


def pull_ended(seen: Observation, pull: JobView | None) -> PullEnd | None:
    """What there is to count of the pull Job; None while it runs."""
    if seen.settings is None or seen.pull is None or pull is None:
        return None
    return pull_end(uid_of(seen.pull.job), source_kind(seen.settings.source), pull)


def _turns(seen: Observation, settings: Effective, status: Mapping[str, Any]) -> Iterator[Event]:
    before, after = _download(seen.model.get("status")), _download(status)
    if number(after, "resumedBytes") and not number(before, "resumedBytes"):
        yield Event("Normal", "PullResumed", _resumed(after))
    since, told = text(after, "stalledSince"), text(before, "stalledSince")
    if since and since != told:
        note = f"{describe(settings.source)}: {trouble(seen.progress)}"
        yield Event("Warning", "PullStalled", note)
    if told and after and not since:
        yield Event(
            "Normal", "PullRecovered", _recovered(after, seen.now - (parse_time(told) or seen.now))
        )


def _pulled(
    seen: Observation, settings: Effective, cache: CacheDecision, pull: JobView | None
) -> Event | None:
    """The weights are in the cache, and were not before; None when there is nothing new."""
    old = seen.model.get("status") or {}
    before = find(old, ConditionType.CACHED)
    known = before is not None and before.get("status") == "True"
    if known or settings.in_place or not cache.complete or cache.artifact is None:
        return None
    outcome = pull.outcome if pull is not None else None
    words = pulled_words(cache.artifact.size_bytes, outcome)
    if outcome is None and before is not None and before.get("reason") == Reason.PULLING:
        # Somebody who shares it was first to take the Job's result.
        words = f"{format_size(cache.artifact.size_bytes)} are in the cache"
    return Event("Normal", "Pulled", f"{describe(settings.source)}: {words}")


def _download(status: Any) -> Mapping[str, Any]:
    return (status or {}).get("download") or {}


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
