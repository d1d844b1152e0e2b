"""Verification on demand: when a Job is made, and what its answer means."""

from typing import Any

import pytest

from modelrunner.domain.cache import JobWish
from modelrunner.domain.jobs import JobState, JobView
from modelrunner.domain.problem import Problem
from modelrunner.domain.verification import (
    Verification,
    VerifyFacts,
    decide_verification,
    verified_digest,
    verified_status,
)
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Artifact, Outcome

VERIFY = "modelrunner.dev/verify"
SOUND = Artifact(format="gguf", size_bytes=1, files=(), digest="sha256:ab")
DAMAGE = Outcome(reason=Reason.PULL_FAILED, message="m.gguf is damaged", damaged=True)


def job(request: str = "now") -> dict[str, Any]:
    """The Job of a request."""
    return {"metadata": {"name": "verify-k", "uid": "j", "annotations": {VERIFY: request}}}


def view(outcome: Outcome | None = None, state: JobState | None = None) -> JobView:
    """The Job as it was judged."""
    good = outcome is not None and outcome.reason is None
    return JobView(
        state=state or (JobState.SUCCEEDED if good else JobState.FAILED),
        attempt=1,
        artifact=outcome.artifact if outcome is not None else None,
        problem=None if good else Problem(Reason.PULL_FAILED, "the Job failed"),
        outcome=outcome,
        finished_at=1_800_000_000.0,
    )


def judged(
    asked: str = "now",
    answered: str = "",
    found: dict[str, Any] | None = None,
    of: JobView | None = None,
    **more: Any,
) -> Verification:
    """What becomes of a request on a Model."""
    status = {"verified": {"request": answered}} if answered else {}
    meta = {"annotations": {VERIFY: asked} if asked else {}}
    facts: dict[str, Any] = {"owned": True, "in_place": False} | more
    return decide_verification(
        VerifyFacts(
            now=1_900_000_000.0,
            model={"metadata": meta, "status": status},
            key="k",
            job=found,
            view=of,
            **facts,
        )
    )


def test_one_job_for_one_request() -> None:
    """None without a request, none for one that has its answer; an old Job goes first."""
    assert judged(asked="").job is JobWish.KEEP
    assert judged(answered="now").job is JobWish.KEEP
    assert judged().job is JobWish.CREATE
    assert judged(answered="before").job is JobWish.CREATE
    running = view(state=JobState.RUNNING)
    assert judged(found=job(), of=running).job is JobWish.KEEP
    assert judged(answered="now", found=job(), of=running).job is JobWish.NONE
    assert judged(asked="", found=job(), of=running).job is JobWish.NONE
    assert judged(found=job("before"), of=running).job is JobWish.NONE
    going = view(state=JobState.GOING)
    assert judged(answered="now", found=job(), of=going).job is JobWish.KEEP
    assert judged(found=job("before"), of=going).job is JobWish.KEEP


def test_sound() -> None:
    """The answer with the time of the Job and the digest that it found."""
    found = judged(found=job(), of=view(Outcome(artifact=SOUND)))
    assert found.verified == {
        "time": "2027-01-15T08:00:00Z",
        "request": "now",
        "result": "Sound",
        "message": "every file is what it should be",
        "key": "k",
        "digest": "sha256:ab",
    }
    assert not found.damaged
    assert not found.mark


def test_damage_on_a_claim_of_ours() -> None:
    """The claim is marked with the Job, once: what was pulled since is not thrown away."""
    first = judged(found=job(), of=view(DAMAGE))
    assert first.verified is not None
    assert (first.verified["result"], first.verified["message"]) == ("Damaged", DAMAGE.message)
    assert (first.damaged, first.mark) == (True, "j")
    again = judged(found=job(), of=view(DAMAGE), renewed="j")
    assert (again.damaged, again.mark) == (False, "j")


def test_damage_on_a_shared_claim() -> None:
    """Nobody can be told by a mark: the answer waits until a pull has mended it."""
    first = judged(found=job(), of=view(DAMAGE), owned=False)
    assert (first.verified, first.damaged) == (None, True)
    mended = judged(found=job(), of=view(DAMAGE), owned=False, repaired=True)
    assert (mended.damaged, mended.mark) == (False, "j")
    assert mended.verified is not None


def test_damage_that_nobody_can_mend() -> None:
    """It is told, and that is all."""
    found = judged(found=job(), of=view(DAMAGE), owned=False, in_place=True)
    assert (found.damaged, found.mark) == (False, "")
    assert found.verified is not None
    assert found.verified["result"] == "Damaged"


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (None, "the Job failed"),
        (Outcome(reason=Reason.PULL_FAILED, message="cannot be read"), "cannot be read"),
    ],
)
def test_no_answer(outcome: Outcome | None, message: str) -> None:
    """A Job that could not tell has found no damage."""
    found = judged(found=job(), of=view(outcome))
    assert found.verified is not None
    assert (found.verified["result"], found.verified["message"]) == ("Failed", message)
    assert not found.damaged


def test_an_answer_is_about_its_weights() -> None:
    """It is kept while they are the same, and gives way to a new one."""
    old = {"verified": {"key": "k", "result": "Sound", "digest": "sha256:ab"}}
    assert verified_status(old, None, "k") == old["verified"]
    assert verified_status(old, None, "other") is None
    assert verified_status({}, None, "k") is None
    new = Verification(verified={"key": "k", "result": "Damaged"})
    assert verified_status(old, new, "k") == {"key": "k", "result": "Damaged"}
    assert verified_digest(old["verified"]) == "sha256:ab"
    assert verified_digest(None) == ""
