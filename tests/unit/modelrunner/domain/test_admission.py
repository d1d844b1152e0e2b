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
from modelrunner_protocol.reasons import Reason
from tests.unit.modelrunner.domain.pod_json import NOW

JOB: dict[str, Any] = {
    "metadata": {"name": "pull-x", "uid": "j", "creationTimestamp": "2026-01-01T00:00:00Z"}
}
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
    assert refusal_of(JOB, [first]) == refusal_of(JOB, [second, first]) == f"forbidden: {QUOTA}"


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
    )
    assert found == "late"
    assert refusal_of(JOB, []) == ""


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
