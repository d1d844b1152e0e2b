"""What only events tell: pods that are not let in, claims that get no volume. Pure."""

import re
from collections.abc import Iterable
from typing import Final

from modelrunner.domain.conditions import shorten
from modelrunner.domain.objects import Object, name_of, parse_time, text, uid_of
from modelrunner.domain.problem import Problem
from modelrunner_protocol.reasons import Reason

REFUSED_POD: Final = "FailedCreate"
"""Reason of the event by which a controller tells that it may not create a pod."""

_WAITS: Final = "ExternalProvisioning"
_NO_VOLUME: Final = frozenset({"ProvisioningFailed", "FailedBinding", _WAITS})
_LENGTH: Final = 1000
_LATE: Final = 600.0
_NO_ANSWER: Final = ("failed calling webhook", "Internal error occurred", "context deadline")
_FOR_RUNNERS: Final = (
    "change the ModelRunner (spec.podTemplate, spec.resources, spec.scheduling) to what the cluster"
    " admits"
)
_FOR_JOBS: Final = (
    "change spec.podTemplate of the ModelRunner to what the cluster admits, or what refuses the pod"
)


def runner_refused(words: str) -> Problem:
    """A runner's pod is not let in."""
    return _refused(
        words, _FOR_RUNNERS, "raise the quota of the namespace, or lower spec.resources"
    )


def job_refused(words: str) -> Problem:
    """A Job's pod is not let in. Its resources are small, and not for users to set."""
    raise_it = "raise the quota of the namespace, or end something that uses it up"
    if "must specify" in words:
        defaults = "add a LimitRange that gives containers defaults for what the quota asks for"
        return _refused(words, f"{defaults}, or change the quota", raise_it)
    return _refused(words, _FOR_JOBS, raise_it)


def passes_by_itself(words: str) -> bool:
    """Whether a refusal is no word about the pod: who was to judge it did not answer."""
    return any(sign in words for sign in _NO_ANSWER)


def refusal_of(job: Object, events: Iterable[Object], now: float) -> str:
    """What the API server said the last time a Job was to have a pod; "" if nothing of late.

    The controller tries again at least once a minute, and tells it once in five minutes at least.
    """
    told = [
        event
        for event in events
        if event.get("reason") == REFUSED_POD
        and text(event, "regarding", "uid") == uid_of(job)
        and now - (parse_time(_time(event)) or now) < _LATE
    ]
    last = max(told, key=_time, default=None)
    words = text(last, "note").removeprefix("Error creating: ")
    # Each try has a name of its own, and would be a write of the status.
    return re.sub(rf'pods "{re.escape(name_of(job))}-[a-z0-9]+" is ', "", words)


def unbound_reason(claim: Object, events: Iterable[Object]) -> str:
    """What was said last of a claim that gets no volume; "" if nothing was."""
    told = [
        event
        for event in events
        if event.get("reason") in _NO_VOLUME and text(event, "regarding", "uid") == uid_of(claim)
    ]
    # A failure says more than the word that somebody is waited for.
    last = max(told, key=lambda one: (one.get("reason") != _WAITS, _time(one)), default=None)
    return shorten(text(last, "note").strip().rstrip("."), _LENGTH)


def _time(event: Object) -> str:
    last = text(event, "deprecatedLastTimestamp") or text(event, "eventTime")
    return last or text(event, "metadata", "creationTimestamp")


def _refused(words: str, mend: str, quota: str) -> Problem:
    full = "exceeded quota" in words
    reason = Reason.UNSCHEDULABLE if full else Reason.INVALID_CONFIGURATION
    said = words.rstrip(".")
    return Problem(reason, f"the pod may not be created: {said}. Mend: {quota if full else mend}")
