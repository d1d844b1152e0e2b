"""Whether a source has moved: when to look, and what follows from what was found.

A look is a resolve Job of its own. It never touches what serves: one that fails is told beside the
weights, not as their state.
"""

import hashlib
import re
from dataclasses import dataclass, replace
from typing import Any, Final

from modelrunner.domain.cache import JobWish
from modelrunner.domain.conditions import shorten
from modelrunner.domain.jobs import JobState, JobView
from modelrunner.domain.objects import Object, dig, format_time, number, parse_time, text
from modelrunner.domain.problem import Problem
from modelrunner.domain.versions import same_weights
from modelrunner_protocol.wire import Artifact, Source

FIRST_BACKOFF: Final = 60.0
"""Seconds until a look that failed is tried again; each further try waits twice as long."""

LONGEST_BACKOFF: Final = 3600.0
GRACE: Final = 300.0
"""Seconds for which a look may come too late: one that was missed by more comes an interval later.

So an operator that was away for long does not ask for thousands of Models at once.
"""

MESSAGE_LIMIT: Final = 1024
NOT_ASKED: Final = "(interval)"
"""Instead of a request: nobody had asked. Not empty, which is what a CRD without the field leaves."""

_WAITS: Final = "a look whether the source has moved waits: "
_SUPERSEDED: Final = 8
_TURN: Final = 20.0
"""Seconds until a look that has to wait for another one is thought of again."""

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """`status.source` of one source. `checked_at` is in seconds since the epoch, None: never.

    `key`: the version that is wanted. `look`: uid of the last look, which is answered once.
    `handled`: the last request that was answered. `digest` and `revision`: what the source held at
    the last look. `failures` in a row; `failed`: the request of the last one, or `NOT_ASKED`.
    `superseded`: versions that are given up once the wanted one serves.
    """

    key: str
    checked_at: float | None = None
    look: str = ""
    handled: str = ""
    digest: str = ""
    revision: str = ""
    message: str = ""
    failures: int = 0
    failed: str = ""
    superseded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A look that there is. `request` is what it answers; `mine`: this Model has asked for it.

    `stale`: it was made for settings that have changed since. `refused`: why what it has found
    cannot be used.
    """

    uid: str
    view: JobView
    request: str
    mine: bool
    stale: bool = False
    refused: Problem | None = None

    @property
    def ended(self) -> bool:
        """Whether it has an answer, good or bad."""
        return self.view.state in {JobState.SUCCEEDED, JobState.FAILED}

    def tells(self, state: SourceState) -> bool:
        """Whether its answer is news: each is taken once.

        Whoever else has asked may have other credentials, so a failure is theirs alone.
        """
        if not self.ended or self.stale or self.uid == state.look:
            return False
        return self.mine or self.view.state is JobState.SUCCEEDED


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshFacts:
    """What was observed of one Model's source.

    `interval` in seconds, None: only when asked. `request`: the annotation's value. `fixed`: why
    the source cannot move, "" where it can. `complete`: the weights are whole; `stuck`: they are
    not, and nothing goes on. `look`: the one that there is, unless it is on its way out
    (`leaving`). `moved_from`: this very pass has found that the source has moved, away from that
    version.
    """

    now: float
    uid: str
    state: SourceState
    interval: float | None
    request: str
    fixed: str = ""
    complete: bool = False
    stuck: bool = False
    look: Look | None = None
    leaving: bool = False
    moved_from: str | None = None

    @property
    def asked(self) -> bool:
        """Whether a request waits for its answer."""
        return self.request not in {"", self.state.handled}

    @property
    def wanted(self) -> bool:
        """Whether this Model wants to know at all."""
        return self.interval is not None or self.asked


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshDecision:
    """What becomes of the look, what is remembered, and when to decide again (epoch seconds).

    `failed`: why a look has failed, told when the first one has.
    """

    job: JobWish
    state: SourceState
    due_at: float | None = None
    failed: str = ""


def read_state(model: Object, source_key: str, key: str) -> SourceState:
    """What a Model's status remembers of this source; nothing of another one.

    `key` is the version that is wanted.
    """
    found = dig(model, "status", "source")
    if text(found, "sourceKey") != source_key:
        return SourceState(key=key)
    old = dig(found, "superseded")
    return SourceState(
        key=key,
        checked_at=parse_time(text(found, "checkedTime")),
        look=text(found, "checkedBy"),
        handled=text(found, "handledRefresh"),
        digest=text(found, "digest"),
        revision=text(found, "revision"),
        message=text(found, "message"),
        failures=number(found, "failures"),
        failed=text(found, "failedRefresh"),
        superseded=tuple(map(str, old)) if isinstance(old, list) else (),
    )


def state_status(state: SourceState, source_key: str) -> dict[str, Any] | None:
    """`status.source`; None while there is nothing to remember of a first version."""
    found: dict[str, Any] = {
        "checkedTime": format_time(state.checked_at) if state.checked_at is not None else None,
        "checkedBy": state.look,
        "handledRefresh": state.handled,
        "digest": state.digest,
        "revision": state.revision,
        "message": shorten(state.message, MESSAGE_LIMIT),
        "failures": state.failures,
        "failedRefresh": state.failed,
        "superseded": list(state.superseded),
    }
    more = {name: value for name, value in found.items() if value}
    if not more and state.key == source_key:
        return None
    return {"sourceKey": source_key, "key": state.key, **more}


def why_fixed(source: Source) -> str:
    """Why a source can never move, "" for one that can."""
    if source.claim is not None:
        return "there is nothing to refresh: the weights are used where they lie"
    if source.oci is not None and "@sha256:" in source.oci.reference:
        return "there is nothing to refresh: the reference names a digest, which never moves"
    if source.hugging_face is not None and _COMMIT.fullmatch(source.hugging_face.revision):
        return "there is nothing to refresh: the revision is a commit, which never moves"
    if source.http is not None and source.http.sha256:
        return "there is nothing to refresh: sha256 says which file it has to be"
    return ""


def has_moved(artifact: Artifact | None, look: Look | None, state: SourceState) -> bool:
    """Whether a look tells of other weights, to be had instead of those that are there."""
    if artifact is None or look is None or look.refused is not None or not look.tells(state):
        return False
    return look.view.artifact is not None and not same_weights(artifact, look.view.artifact)


def decide_refresh(facts: RefreshFacts) -> RefreshDecision:
    """The next step of finding out whether the source has moved."""
    look, state, failed = facts.look, facts.state, ""
    if facts.fixed:
        return _nothing_to_find(facts)
    if look is not None and look.tells(state) and (look.mine or facts.wanted):
        state = _answered(facts, look)
        told = facts.state.message and not facts.state.message.startswith(_WAITS)
        failed = state.message if not told else ""
    else:
        waits = look is not None and look.mine and not look.ended
        state = _held_up(state, look.view.problem if look is not None and waits else None)
    if facts.moved_from is not None:
        state = _given_up(state, facts.moved_from)
        return RefreshDecision(job=JobWish.KEEP, state=state)
    facts = replace(facts, state=state)
    if not facts.wanted and state.failures:
        # Nobody asks any more: an earlier failure is of no interest.
        facts = replace(facts, state=replace(state, failures=0, failed="", message=""))
    job, due_at = _job(facts)
    return RefreshDecision(job=job, state=facts.state, due_at=due_at, failed=failed)


def _job(facts: RefreshFacts) -> tuple[JobWish, float | None]:
    look = facts.look
    ended = look is not None and look.mine and look.ended
    if not (facts.complete or facts.stuck):
        return JobWish.KEEP, None
    if not _is_due(facts):
        # What it has found is written down in the very pass that deletes it.
        return JobWish.NONE if ended and facts.complete else JobWish.KEEP, _next(facts)
    if ended:
        return JobWish.AGAIN, None
    if look is None and not facts.leaving:
        return JobWish.CREATE, None
    return JobWish.KEEP, facts.now + _TURN


def _nothing_to_find(facts: RefreshFacts) -> RefreshDecision:
    told = facts.fixed if facts.interval is not None or facts.request else ""
    state = replace(facts.state, message=told, handled=facts.request, failures=0, failed="")
    mine = facts.look is not None and facts.look.mine
    return RefreshDecision(job=JobWish.NONE if mine else JobWish.KEEP, state=state)


def _answered(facts: RefreshFacts, look: Look) -> SourceState:
    """What is remembered once a look has ended."""
    state = replace(facts.state, checked_at=facts.now, look=look.uid, failed="")
    found = look.view.artifact
    if look.request and (look.mine or look.request == facts.request):
        handled = look.request
    else:
        handled = state.handled
    if found is None:
        problem = look.view.problem
        why = problem.message if problem is not None else "the Job failed"
        state = replace(state, message=f"cannot tell whether the source has moved: {why}")
        if look.view.retryable:
            failed = look.request or NOT_ASKED
            return replace(state, failures=state.failures + 1, failed=failed)
        return replace(state, failures=0, handled=handled)
    return replace(
        state,
        handled=handled,
        digest=found.digest,
        revision=found.revision,
        message=_refused(found, look.refused) if look.refused is not None else "",
        failures=0,
    )


def _held_up(state: SourceState, problem: Problem | None) -> SourceState:
    """A look that runs, or that cannot for a reason that somebody has to know."""
    if problem is not None:
        return replace(state, message=f"{_WAITS}{problem.message}")
    return replace(state, message="") if state.message.startswith(_WAITS) else state


def _refused(found: Artifact, problem: Problem) -> str:
    what = found.digest or found.revision
    newer = f"its newer version {what}" if what else "its newer version"
    return f"the source has moved, but {newer} cannot be used: {problem.message}"


def _given_up(state: SourceState, former: str) -> SourceState:
    kept = [key for key in state.superseded if key not in {former, state.key}]
    return replace(state, superseded=(*kept, former)[-_SUPERSEDED:])


def _is_due(facts: RefreshFacts) -> bool:
    anew = facts.asked and facts.state.failed not in {"", facts.request}
    if facts.state.failures and not anew:
        return facts.now >= _retry_at(facts)
    if facts.asked:
        return True
    if facts.interval is None:
        return False
    last = _tick(facts.now, facts.uid, facts.interval)
    late = facts.now - last
    return late < min(GRACE, facts.interval / 4) and last > (facts.state.checked_at or 0.0)


def _next(facts: RefreshFacts) -> float | None:
    if facts.state.failures:
        return _retry_at(facts)
    if facts.interval is None:
        return None
    return _tick(facts.now, facts.uid, facts.interval) + facts.interval


def _retry_at(facts: RefreshFacts) -> float:
    longest = max(LONGEST_BACKOFF, facts.interval or 0.0)
    wait = min(FIRST_BACKOFF * 2.0 ** min(facts.state.failures - 1, 20), longest)
    return (facts.state.checked_at or facts.now) + wait


def _tick(now: float, uid: str, interval: float) -> float:
    """The last time at or before `now` at which a Model's source is looked at.

    Each Model has a moment of its own in every interval, so that many of them never ask at once.
    """
    share = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:4]) / 2**32
    return now - (now - share * interval) % interval
