"""What became of a resolve or pull Job: still running, what it found, or why not."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from modelrunner.domain.admission import job_refused, passes_by_itself
from modelrunner.domain.containers import (
    explain_end,
    failed,
    memory_limit,
    outcome_of,
    waiting_problem,
)
from modelrunner.domain.naming import (
    ATTEMPT_ANNOTATION,
    CLAIM_BYTES_ANNOTATION,
    COMPONENT_LABEL,
    COMPONENT_RESOLVE,
)
from modelrunner.domain.objects import (
    Object,
    annotation,
    being_deleted,
    condition,
    created_at,
    dig,
    format_time,
    is_true,
    items,
    label,
    name_of,
    parse_time,
    text,
)
from modelrunner.domain.pods import PATIENCE, node_message, statuses_running
from modelrunner.domain.problem import Problem
from modelrunner.domain.scheduling import BINDING_GRACE, is_scheduled, unschedulable
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Artifact, Outcome

FIRST_RETRY: Final = 10.0
"""Seconds until a failed Job is tried again; each further try waits twice as long."""

LONGEST_RETRY: Final = 3600.0
STILL_WAITING: Final = "still waiting for the scheduler and the volume"
SLOW_POD: Final = 30.0
"""Seconds after which a Job without a pod is worth a hint."""


SLOW_END: Final = 30.0
"""Seconds after its grace in which a pod should have ended."""


class JobState(StrEnum):
    """Where a Job is."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    GOING = "going"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A Job and its newest pod in short.

    `problem` is why a running Job makes no way, or why a failed one failed. `waiting` is a
    sentence about a running one. `retryable` belongs to failed ones, `finished_at` and `outcome`
    (what runnerd said itself, None when it could not) to those that ended. `had_bytes` is the size
    of the claim that it was made for, 0 where it does not say.
    """

    state: JobState
    attempt: int
    pod: Object | None = None
    artifact: Artifact | None = None
    problem: Problem | None = None
    waiting: str = ""
    retryable: bool = False
    finished_at: float = 0.0
    outcome: Outcome | None = None
    had_bytes: int = 0

    @property
    def missing_bytes(self) -> int:
        """What its volume lacked, as far as it is known."""
        return self.outcome.missing_bytes if self.outcome is not None else 0

    @property
    def cached(self) -> bool:
        """Whether a resolve has found all of it in the cache."""
        return self.outcome is not None and self.outcome.cached

    @property
    def retry_at(self) -> float | None:
        """When a failed Job is tried again, seconds since the epoch; None: never."""
        if not self.retryable:
            return None
        delay = min(FIRST_RETRY * 2.0 ** min(self.attempt - 1, 10), LONGEST_RETRY)
        return self.finished_at + delay


def look_at_job(job: Object, pods: Sequence[Object], *, now: float, refused: str = "") -> JobView:
    """Judge a Job by its newest pod first: the Job's own status follows seconds later.

    `refused`: what the API server said to a pod of it, "" where there is one.
    """
    attempt = _attempt(job)
    if being_deleted(job):
        return JobView(state=JobState.GOING, attempt=attempt)
    pod = max(pods, key=lambda item: (created_at(item), name_of(item)), default=None)
    ended = _ended(pod)
    outcome = outcome_of(text(ended, "message")) if ended is not None else None
    finished_at = parse_time(text(ended, "finishedAt")) if ended is not None else None
    disrupted = pod is not None and is_true(pod, "DisruptionTarget") and not is_true(job, "Failed")
    if outcome is not None and (outcome.artifact is not None or not disrupted):
        return _judged(job, pod, attempt, outcome, finished_at or now)
    if is_true(job, "Failed") or is_true(job, "Complete"):
        # Only a Job of ours without its pod's last words comes here: evicted, killed, foreign image.
        return JobView(
            state=JobState.FAILED,
            attempt=attempt,
            pod=pod,
            problem=Problem(Reason.PULL_FAILED, _unexplained(job, pod, ended, refused)),
            retryable=True,
            finished_at=finished_at or _job_finished(job) or now,
        )
    return _running(job, pod, attempt, now, refused)


def _judged(
    job: Object, pod: Object | None, attempt: int, outcome: Outcome, finished_at: float
) -> JobView:
    if outcome.reason is None and outcome.artifact is not None:
        return JobView(
            state=JobState.SUCCEEDED,
            attempt=attempt,
            pod=pod,
            artifact=outcome.artifact,
            finished_at=finished_at,
            outcome=outcome,
        )
    reason = outcome.reason or Reason.PULL_FAILED
    message = outcome.message or f"Job {name_of(job)} failed without a message"
    if not outcome.retryable:
        message = (
            f"{message.rstrip('.')}. Trying the same again would not help: change the source or the"
            f" cache, or delete Job {name_of(job)} to try again"
        )
    return JobView(
        state=JobState.FAILED,
        attempt=attempt,
        pod=pod,
        problem=Problem(reason, message),
        retryable=outcome.retryable,
        finished_at=finished_at,
        outcome=outcome,
        had_bytes=_count(annotation(job, CLAIM_BYTES_ANNOTATION)) or 0,
    )


def _running(job: Object, pod: Object | None, attempt: int, now: float, refused: str) -> JobView:
    problem, waiting = None, _waiting(job, pod, now)
    if refused and pod is None and passes_by_itself(refused):
        waiting = (
            f"the pod could not be created: {refused.rstrip('.')}; it is tried again by itself"
        )
    elif refused and pod is None:
        problem = job_refused(refused)
    if pod is not None and text(pod, "status", "phase") not in {"Failed", "Succeeded"}:
        problem = waiting_problem(pod) or unschedulable(pod, now=now)
    return JobView(
        state=JobState.RUNNING,
        attempt=attempt,
        pod=pod,
        problem=problem,
        waiting=waiting,
    )


def _waiting(job: Object, pod: Object | None, now: float) -> str:
    if pod is None:
        if now - created_at(job) > SLOW_POD:
            return f"Job {name_of(job)} has no pod yet; `kubectl describe job {name_of(job)}` tells why"
        return ""
    if being_deleted(pod):
        return _ending(pod, now)
    if statuses_running(pod) or now - created_at(pod) < PATIENCE:
        return ""
    if not is_scheduled(pod):
        slow = now - created_at(pod) >= BINDING_GRACE
        return STILL_WAITING if slow else "waiting for the scheduler and the volume"
    return node_message(pod, now=now)


def _ending(pod: Object, now: float) -> str:
    """A pod that is to end before its work is done: another one follows only once it has."""
    name, node = name_of(pod), text(pod, "spec", "nodeName")
    until = parse_time(text(pod, "metadata", "deletionTimestamp")) or now
    if now < until + SLOW_END or not node:
        return f"pod {name} is being stopped; another one goes on where it was"
    return (
        f"pod {name} does not end, its node {node} may be away: another one goes on where it was once"
        f" the node is back, or, if the node is off for good, after `kubectl delete pod {name} --force`"
    )


def _ended(pod: Object | None) -> Object | None:
    wanted = (label(pod, COMPONENT_LABEL) or COMPONENT_RESOLVE) if pod is not None else ""
    for status in items(pod, "status", "containerStatuses"):
        ended = dig(status, "state", "terminated")
        if ended is not None and text(status, "name") in {wanted, ""}:
            return ended if isinstance(ended, dict) else None
    return None


def _unexplained(job: Object, pod: Object | None, ended: Object | None, refused: str) -> str:
    name = name_of(job)
    if pod is None:
        found = condition(job, "Failed")
        words = refused or text(found, "message") or "its pod is gone"
        return f"Job {name} ended without a result: {words}"
    container = next(iter(items(pod, "status", "containerStatuses")), {})
    if ended is not None and text(ended, "reason") == "OOMKilled":
        limit = memory_limit(pod, text(container, "name"))
        return f"the pod of Job {name} was killed because it needed more memory than {limit or 'the node has'}"
    reason, words = text(pod, "status", "reason"), text(pod, "status", "message")
    if reason or words:
        return f"the pod of Job {name} was stopped by its node ({reason or 'no reason given'}): {words}"
    if ended is not None and failed(ended):
        return explain_end(pod, container, ended).message
    return f"Job {name} ended without saying what it found; does its image hold this version of runnerd?"


def _job_finished(job: Object) -> float | None:
    found = condition(job, "Failed") or condition(job, "Complete")
    return parse_time(text(found, "lastTransitionTime"))


def _attempt(job: Object) -> int:
    found = _count(annotation(job, ATTEMPT_ANNOTATION))
    return found if found is not None and found < 10**5 else 1


def _count(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 19 else None


def retry_words(view: JobView, retry_at: float) -> str:
    """When the next try is. The time is absolute, so that the sentence stays the same."""
    return f"Attempt {view.attempt} failed; the next is at {format_time(retry_at)}"
