"""Pods that are not let in: what is told of them, and when it stays the same."""

from typing import Any

import pytest

from modelrunner.domain.admission import (
    job_refused,
    refusal_of,
    runner_refused,
    unbound_reason,
)
from modelrunner.domain.jobs import JobState, look_at_job
from modelrunner.domain.objects import parse_time
from modelrunner_protocol.reasons import Reason
from tests.unit.modelrunner.domain.pod_json import NOW

JOB: dict[str, Any] = {
    "metadata": {"name": "pull-x", "uid": "j", "creationTimestamp": "2026-01-01T00:00:00Z"}
}
NEAR = parse_time("2026-01-01T00:00:30Z") or 0.0
QUOTA = "failed quota: q: must specify limits.cpu for: pull"


def event(note: str, *, at: str, uid: str = "j", reason: str = "FailedCreate") -> dict[str, Any]:
    """An event as the controller of Jobs makes it."""
    return {
        "reason": reason,
        "note": note,
        "regarding": {"uid": uid},
        "deprecatedLastTimestamp": f"2026-01-01T00:00:{at}Z",
    }


def test_each_try_says_the_same() -> None:
    """The pod's name is another one with each try; the sentence is not."""
    first = event(f'Error creating: pods "pull-x-abcde" is forbidden: {QUOTA}', at="01")
    second = event(f'Error creating: pods "pull-x-k9x2z" is forbidden: {QUOTA}', at="03")
    assert refusal_of(JOB, [first], NEAR) == f"forbidden: {QUOTA}"
    assert refusal_of(JOB, [second, first], NEAR) == f"forbidden: {QUOTA}"


def test_the_last_word_counts() -> None:
    """Of this Job, and of this kind."""
    found = refusal_of(
        JOB,
        [
            event("Error creating: late", at="05"),
            event("Error creating: early", at="01"),
            event("Error creating: another's", at="09", uid="k"),
            event("Created pod", at="09", reason="SuccessfulCreate"),
        ],
        NEAR,
    )
    assert found == "late"
    assert refusal_of(JOB, [], NEAR) == ""


def test_what_was_said_long_ago() -> None:
    """The controller goes on telling: of a pod that was let in since, an old word says nothing."""
    old = event("Error creating: no", at="05")
    assert refusal_of(JOB, [old], NEAR) == "no"
    assert refusal_of(JOB, [old], NEAR + 900) == ""


@pytest.mark.parametrize(
    "words",
    [
        'Internal error occurred: failed calling webhook "w": connection refused',
        "Internal error occurred: the quota could not be read",
    ],
)
def test_nobody_was_there_to_judge(words: str) -> None:
    """It is told, and nobody has to act: no fault of the pod, no end of anybody's waiting."""
    view = look_at_job(JOB, [], now=NOW, refused=words)
    assert view.problem is None
    assert view.waiting == f"the pod could not be created: {words}; it is tried again by itself"


@pytest.mark.parametrize(
    ("words", "reason", "mend"),
    [
        ("exceeded quota: q, requested: pods=1.", Reason.UNSCHEDULABLE, "raise the quota of the"),
        (QUOTA, Reason.INVALID_CONFIGURATION, "add a LimitRange that gives containers defaults"),
        (
            'violates PodSecurity "restricted"',
            Reason.INVALID_CONFIGURATION,
            "change spec.podTemplate of the ModelRunner",
        ),
    ],
)
def test_a_job_without_a_pod(words: str, reason: Reason, mend: str) -> None:
    """The server's words, and what can be done about them: a Job has no resources to lower."""
    found = job_refused(words)
    assert found.reason is reason
    assert found.message.startswith(
        f"the pod may not be created: {words.rstrip('.')}. Mend: {mend}"
    )
    view = look_at_job(JOB, [], now=NOW, refused=words)
    assert (view.state, view.problem) == (JobState.RUNNING, found)


def test_a_job_that_ended_without_a_pod() -> None:
    """Its deadline is what its condition tells; why it had no pod says more."""
    ended = {**JOB, "status": {"conditions": [{"type": "Failed", "status": "True"}]}}
    view = look_at_job(ended, [], now=NOW, refused=QUOTA)
    assert view.problem is not None
    assert QUOTA in view.problem.message


def test_a_runner_may_ask_for_less() -> None:
    """Its resources are the user's."""
    assert "or lower spec.resources" in runner_refused("exceeded quota: q").message
    assert "spec.scheduling" in runner_refused("no").message


def test_a_claim_without_a_volume() -> None:
    """A failure is worth more than the word that somebody is waited for, however late that comes."""
    failed = event('class "x" not found.', at="01", reason="ProvisioningFailed")
    waits = event("waiting for the provisioner", at="09", reason="ExternalProvisioning")
    claim = {"metadata": {"name": "c", "uid": "j"}}
    assert unbound_reason(claim, [failed, waits]) == 'class "x" not found'
    assert unbound_reason(claim, [waits]) == "waiting for the provisioner"
    assert unbound_reason(claim, [event("no", at="01", uid="k", reason="FailedBinding")]) == ""
