"""Whether a source has moved: when a look is due, and what follows from its answer."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner.domain.cache import JobWish
from modelrunner.domain.jobs import JobState, JobView
from modelrunner.domain.problem import Problem
from modelrunner.domain.refresh import (
    FIRST_BACKOFF,
    GRACE,
    LONGEST_BACKOFF,
    NOT_ASKED,
    Look,
    RefreshFacts,
    SourceState,
    decide_refresh,
    has_moved,
    read_state,
    state_status,
    why_fixed,
)
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import (
    Artifact,
    ClaimSource,
    HttpSource,
    HuggingFaceSource,
    OciSource,
    S3Source,
    Source,
    WeightsFile,
)

NOW = 1_780_000_000.0
HOUR = 3600.0
OLD = Artifact(
    format="gguf",
    size_bytes=1,
    files=(WeightsFile(path="m", size_bytes=1, sha256="1" * 64),),
    digest="sha256:old",
)
NEW = replace(OLD, files=(replace(OLD.files[0], sha256="2" * 64),), digest="sha256:new")


def facts(**more: Any) -> RefreshFacts:
    """A Model at rest that nobody asks anything."""
    usual: dict[str, Any] = {
        "now": NOW,
        "uid": "u",
        "state": SourceState(key="k"),
        "interval": None,
        "request": "",
        "complete": True,
    }
    return RefreshFacts(**{**usual, **more})


def ended(found: Artifact | None = None, *, retryable: bool = True, **more: Any) -> Look:
    """A look that has found this, or failed."""
    if found is not None:
        view = JobView(state=JobState.SUCCEEDED, attempt=1, artifact=found, finished_at=NOW - 5)
    else:
        problem = Problem(Reason.PULL_FAILED, "no route")
        view = JobView(
            state=JobState.FAILED,
            attempt=1,
            problem=problem,
            retryable=retryable,
            finished_at=NOW - 5,
        )
    return Look(**{"uid": "job", "view": view, "request": "", "mine": True, **more})


def running(**more: Any) -> Look:
    """A look that goes on."""
    view = JobView(state=JobState.RUNNING, attempt=1)
    return Look(**{"uid": "job", "view": view, "request": "", "mine": True, **more})


def first_due(uid: str, interval: float, now: float = NOW) -> float:
    """When a Model with this uid is looked after next."""
    found = decide_refresh(facts(uid=uid, interval=interval, now=now))
    return now if found.job is JobWish.CREATE else found.due_at or 0.0


def test_nobody_who_did_not_ask_is_looked_after() -> None:
    """No Job, nothing to write, no time to come back."""
    found = decide_refresh(facts())
    assert (found.job, found.due_at, found.failed) == (JobWish.KEEP, None, "")
    assert state_status(found.state, "k") is None


def test_a_request_is_answered_once() -> None:
    """A Job at once; its answer is remembered, and nothing more follows."""
    asked = facts(request="now")
    assert decide_refresh(asked).job is JobWish.CREATE
    done = decide_refresh(replace(asked, look=ended(OLD, request="now")))
    assert done.job is JobWish.NONE
    assert (done.state.handled, done.state.checked_at, done.state.look) == ("now", NOW, "job")
    assert done.state.digest == OLD.digest
    after = decide_refresh(replace(asked, state=done.state))
    assert (after.job, after.due_at, after.state) == (JobWish.KEEP, None, done.state)


def test_a_request_that_comes_during_a_look_has_one_of_its_own() -> None:
    """The Job that is there answers what it was made for."""
    found = decide_refresh(facts(request="second", look=ended(OLD, request="first")))
    assert (found.job, found.state.handled) == (JobWish.AGAIN, "first")


def test_looks_wait_for_a_pull_and_for_one_another() -> None:
    """Not while weights come, not beside another look; a stuck version does not wait for ever."""
    asked = facts(request="now")
    assert decide_refresh(replace(asked, complete=False)).job is JobWish.KEEP
    assert decide_refresh(replace(asked, complete=False, stuck=True)).job is JobWish.CREATE
    for busy in (
        replace(asked, look=running()),
        replace(asked, look=running(mine=False)),
        replace(asked, look=ended(mine=False)),
        replace(asked, leaving=True),
    ):
        found = decide_refresh(busy)
        assert found.job is JobWish.KEEP
        assert found.due_at is not None
        assert NOW < found.due_at <= NOW + 60


@given(st.uuids(), st.floats(60, 10 * 24 * HOUR), st.floats(0, 10**6))
def test_each_model_has_its_moment_in_every_interval(
    uid: Any, interval: float, more: float
) -> None:
    """It is looked after within the interval, and then exactly one interval later, once."""
    now = NOW + more
    found = facts(uid=str(uid), interval=interval, now=now, state=checked(now))
    due = decide_refresh(found).due_at
    assert due is not None
    assert now < due <= now + interval
    at = replace(found, now=due + 0.1)
    assert decide_refresh(at).job is JobWish.CREATE
    state = decide_refresh(replace(at, look=ended(OLD))).state
    later = decide_refresh(replace(at, now=due + 1, state=state))
    assert later.job is JobWish.KEEP
    assert later.due_at == pytest.approx(due + interval)


def checked(at: float) -> SourceState:
    """Looked at then."""
    return SourceState(key="k", checked_at=at)


def test_many_models_do_not_ask_at_once() -> None:
    """A thousand with one interval, all applied at the same time: spread over the whole of it."""
    dues = [first_due(f"uid-{number}", HOUR) - NOW for number in range(1000)]
    for part in range(10):
        share = sum(part * 360 <= due < (part + 1) * 360 for due in dues)
        # The grace lets those ask at once whose moment has just been.
        assert share < (100 + 1000 * GRACE / HOUR) * 2


def test_a_look_that_was_missed_for_long_comes_an_interval_later() -> None:
    """An operator that was away does not ask for all Models at once when it comes back."""
    due = first_due("u", HOUR, NOW + GRACE)
    state = SourceState(key="k", checked_at=NOW - 24 * HOUR)
    soon = facts(interval=HOUR, state=state, now=due + GRACE - 1)
    assert decide_refresh(soon).job is JobWish.CREATE
    late = decide_refresh(replace(soon, now=due + GRACE + 1))
    assert late.job is JobWish.KEEP
    assert late.due_at == pytest.approx(due + HOUR)


def test_failures_are_told_once_and_tried_again_ever_later() -> None:
    """1 m, 2 m, 4 m … an hour, or the interval where that is longer."""
    asked = facts(request="now")
    state, waits, told = SourceState(key="k"), [], []
    now = NOW
    for number in range(12):
        look = ended(uid=f"job-{number}", request="now")
        found = decide_refresh(replace(asked, now=now, state=state, look=look))
        assert (found.job, found.state.handled) == (JobWish.NONE, "")
        assert found.due_at is not None
        told.append(found.failed)
        waits.append(found.due_at - now)
        state, now = found.state, found.due_at
        early = replace(asked, now=now - 1, state=state)
        assert decide_refresh(early).job is JobWish.KEEP
        assert decide_refresh(replace(early, now=now)).job is JobWish.CREATE
    assert waits[:3] == [FIRST_BACKOFF, 2 * FIRST_BACKOFF, 4 * FIRST_BACKOFF]
    assert waits[-1] == LONGEST_BACKOFF
    assert told[0].endswith("no route")
    assert set(told[1:]) == {""}
    daily = decide_refresh(replace(asked, interval=24 * HOUR, now=now, state=state)).state
    assert decide_refresh(
        replace(asked, interval=24 * HOUR, now=now, state=daily, look=ended(uid="z", request="now"))
    ).due_at == pytest.approx(now + 24 * HOUR)


def test_who_asks_anew_after_a_failure_does_not_wait() -> None:
    """Somebody has mended what was wrong, and says so; the next failure waits again."""
    state = SourceState(key="k", checked_at=NOW - 1, failures=9, failed="old", message="why")
    asked = facts(request="new", state=state)
    assert decide_refresh(replace(asked, request="old")).job is JobWish.KEEP
    assert decide_refresh(asked).job is JobWish.CREATE
    failed = decide_refresh(replace(asked, look=ended(request="new")))
    assert (failed.job, failed.state.failed, failed.state.failures) == (JobWish.NONE, "new", 10)
    assert decide_refresh(replace(asked, state=failed.state)).job is JobWish.KEEP
    # A look that nobody had asked for; and a CRD that does not keep the field: no endless looks.
    for forgotten, job in ((NOT_ASKED, JobWish.CREATE), ("", JobWish.KEEP)):
        told = replace(state, failed=forgotten)
        assert decide_refresh(replace(asked, state=told)).job is job


def test_a_look_that_cannot_begin_is_told() -> None:
    """Its pod is not let in: the reason stands there until it runs, and the end is still told."""
    held = JobView(
        state=JobState.RUNNING, attempt=1, problem=Problem(Reason.UNSCHEDULABLE, "quota")
    )
    waits = Look(uid="j", view=held, request="now", mine=True)
    found = decide_refresh(facts(request="now", look=waits))
    assert found.state.message == "a look whether the source has moved waits: quota"
    assert (found.job, found.failed, found.state.failures) == (JobWish.KEEP, "", 0)
    runs = replace(waits, view=replace(held, problem=None))
    asked = facts(request="now", state=found.state)
    assert decide_refresh(replace(asked, look=runs)).state.message == ""
    assert decide_refresh(replace(asked, look=None)).state.message == ""
    assert decide_refresh(replace(asked, look=ended(uid="j", request="now"))).failed


def test_a_failure_that_would_come_again_waits_for_the_next_interval() -> None:
    """What was asked is answered by it; success takes the message away."""
    found = decide_refresh(facts(request="now", look=ended(retryable=False, request="now")))
    assert (found.state.handled, found.state.failures, found.due_at) == ("now", 0, None)
    assert found.state.message
    again = facts(request="again", state=found.state, look=ended(OLD, uid="2", request="again"))
    mended = decide_refresh(again)
    assert (mended.state.message, mended.failed) == ("", "")


def test_a_failure_of_no_interest_any_more_is_forgotten() -> None:
    """The interval and the request are gone: no tries, no message."""
    state = SourceState(key="k", checked_at=NOW - 10, failures=3, message="cannot tell", look="j")
    found = decide_refresh(facts(state=state))
    assert (found.state.failures, found.state.message, found.due_at) == (0, "", None)


def test_somebody_elses_look() -> None:
    """Its success counts for those who want to know, its failure for nobody; its Job is theirs."""
    found = decide_refresh(facts(interval=HOUR, look=ended(OLD, mine=False)))
    assert (found.job, found.state.checked_at) == (JobWish.KEEP, NOW)
    again = decide_refresh(facts(interval=HOUR, state=found.state, look=ended(OLD, mine=False)))
    assert again.state == found.state
    assert decide_refresh(facts(look=ended(OLD, mine=False))).state == SourceState(key="k")
    failed = decide_refresh(facts(interval=HOUR, look=ended(mine=False)))
    assert failed.state == SourceState(key="k")
    same = decide_refresh(facts(request="now", look=ended(OLD, mine=False, request="now")))
    assert same.state.handled == "now"


def test_what_has_moved() -> None:
    """Other files that can be used, told by a look that was not yet heard."""
    state = SourceState(key="k")
    assert has_moved(OLD, ended(NEW), state)
    assert not has_moved(OLD, ended(OLD), state)
    assert not has_moved(OLD, ended(replace(OLD, digest="sha256:x", revision="r")), state)
    assert not has_moved(None, ended(NEW), state)
    assert not has_moved(OLD, None, state)
    assert not has_moved(OLD, running(), state)
    assert not has_moved(OLD, ended(), state)
    assert not has_moved(OLD, ended(NEW), replace(state, look="job"))
    assert not has_moved(OLD, ended(NEW, stale=True), state)
    refused = Problem(Reason.UNSUPPORTED_FORMAT, "a pickle")
    assert not has_moved(OLD, ended(NEW, refused=refused), state)


def test_a_move_is_remembered_with_what_it_moves_away_from() -> None:
    """The look stays: it is the new version's resolve. Its answer is taken once."""
    state = SourceState(key="v2")
    look = ended(NEW, request="now")
    found = decide_refresh(facts(state=state, request="now", look=look, moved_from="k"))
    assert found.job is JobWish.KEEP
    assert (found.state.key, found.state.superseded) == ("v2", ("k",))
    assert (found.state.handled, found.state.digest) == ("now", NEW.digest)
    pulling = facts(state=found.state, request="now", look=look, complete=False)
    assert decide_refresh(pulling).state == found.state
    on = decide_refresh(
        facts(state=replace(found.state, key="v3"), look=ended(OLD, uid="2"), moved_from="v2")
    )
    assert on.state.superseded == ("k", "v2")
    back = decide_refresh(
        facts(state=replace(on.state, key="k"), look=ended(OLD, uid="3"), moved_from="v3")
    )
    assert back.state.superseded == ("v2", "v3")


def test_a_newer_version_that_cannot_be_used_is_told() -> None:
    """Which, and why; the answer counts, nothing is tried again until the next look."""
    refused = Problem(Reason.UNSUPPORTED_FORMAT, "a pickle")
    found = decide_refresh(facts(request="now", look=ended(NEW, request="now", refused=refused)))
    assert (found.job, found.state.handled) == (JobWish.NONE, "now")
    assert "sha256:new cannot be used: a pickle" in found.state.message
    assert found.failed == found.state.message
    again = ended(NEW, uid="2", refused=refused)
    assert decide_refresh(facts(interval=HOUR, state=found.state, look=again)).failed == ""


def test_a_look_for_settings_that_have_changed_tells_nothing() -> None:
    """Another Secret or image: it is taken away, and made anew if one is due."""
    stale = ended(NEW, stale=True)
    assert decide_refresh(facts(look=stale)).job is JobWish.NONE
    asked = decide_refresh(facts(request="now", look=stale))
    assert (asked.job, asked.state.handled) == (JobWish.AGAIN, "")


@pytest.mark.parametrize(
    ("source", "fixed"),
    [
        (Source(oci=OciSource(reference="ai/x:latest")), False),
        (Source(oci=OciSource(reference=f"ai/x:1@sha256:{'0' * 64}")), True),
        (Source(hugging_face=HuggingFaceSource(repository="a/b")), False),
        (Source(hugging_face=HuggingFaceSource(repository="a/b", revision="0" * 40)), True),
        (Source(hugging_face=HuggingFaceSource(repository="a/b", revision="v1")), False),
        (Source(http=HttpSource(url="http://h/m")), False),
        (Source(http=HttpSource(url="http://h/m", sha256="0" * 64)), True),
        (Source(s3=S3Source(bucket="models")), False),
        (Source(claim=ClaimSource(claim="c", path="m")), True),
    ],
)
def test_what_cannot_move(source: Source, fixed: bool) -> None:
    """Digests, commits, checksums and files in place."""
    assert bool(why_fixed(source)) is fixed


def test_what_cannot_move_says_so_when_asked() -> None:
    """The request is answered without a Job, and an interval is no work."""
    asked = facts(fixed="nothing to refresh", request="now", interval=HOUR)
    found = decide_refresh(asked)
    assert (found.job, found.due_at) == (JobWish.KEEP, None)
    assert (found.state.handled, found.state.message) == ("now", "nothing to refresh")
    assert decide_refresh(replace(asked, state=found.state)).state == found.state
    quiet = decide_refresh(facts(fixed="nothing to refresh"))
    assert quiet.state == SourceState(key="k")
    assert decide_refresh(replace(asked, look=ended(OLD))).job is JobWish.NONE


_TEXTS = st.text(max_size=5)


@given(
    st.builds(
        SourceState,
        key=st.sampled_from(["k", "v2"]),
        checked_at=st.none() | st.integers(1, 2 * 10**9).map(float),
        look=_TEXTS,
        handled=_TEXTS,
        digest=_TEXTS,
        revision=_TEXTS,
        message=_TEXTS,
        failures=st.integers(0, 9),
        failed=_TEXTS,
        superseded=st.lists(st.sampled_from("ab"), max_size=2, unique=True).map(tuple),
    )
)
def test_what_is_written_is_read_back(state: SourceState) -> None:
    """The status holds all of it; of another source it says nothing."""
    status = state_status(state, "k")
    model = {"status": {"source": status} if status else {}}
    assert read_state(model, "k", state.key) == state
    assert read_state(model, "l", "x") == SourceState(key="x")
