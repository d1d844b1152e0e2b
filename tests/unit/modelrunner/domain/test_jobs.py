"""What became of a Job, from its pod's last words or in spite of their absence."""

from typing import Any

import pytest

from modelrunner.domain.jobs import JobState, JobView, look_at_job, retry_words
from modelrunner.domain.objects import format_time
from modelrunner_protocol.codec import encode
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Artifact, Outcome, WeightsFile
from tests.unit.modelrunner.domain.pod_json import (
    CREATED,
    NOW,
    RUNNING,
    Object,
    pod,
    terminated,
    waiting,
)

ARTIFACT = Artifact(
    format="gguf", size_bytes=10, files=(WeightsFile(path="m.gguf", size_bytes=10),)
)


def job(*, attempt: str = "1", **conditions: str) -> Object:
    """A pull Job."""
    return {
        "metadata": {
            "name": "pull-k",
            "uid": "j",
            "creationTimestamp": CREATED,
            "annotations": {"modelrunner.dev/attempt": attempt},
        },
        "status": {
            "conditions": [
                {"type": kind, "status": "True", "message": message, "lastTransitionTime": CREATED}
                for kind, message in conditions.items()
            ]
        },
    }


def pull_pod(state: Object, **more: Any) -> Object:
    """The pod of the Job."""
    status = {"name": "pull", "image": "i", "ready": False, "restartCount": 0, "state": state}
    found = pod("pull-k-1", containers=[status], **more)
    found["metadata"]["labels"]["app.kubernetes.io/component"] = "pull"
    found["spec"]["containers"] = [{"name": "pull", "resources": {"limits": {"memory": "1Gi"}}}]
    return found


def judge(pod_: Object | None, job_: Object | None = None, now: float = NOW) -> JobView:
    """The view of one Job with at most one pod."""
    return look_at_job(job_ or job(), [pod_] if pod_ else [], now=now)


def test_a_result_counts_before_the_job_knows() -> None:
    """The pod's termination message is enough: the Job's own status comes seconds later."""
    view = judge(pull_pod(terminated(0, "Completed", encode(Outcome(artifact=ARTIFACT)))))
    assert view.state is JobState.SUCCEEDED
    assert view.artifact == ARTIFACT


def test_a_final_failure_says_how_to_try_again() -> None:
    """Not retryable: no next try, and the message names the Job to delete."""
    said = Outcome(reason=Reason.PULL_FAILED, message="sha256 differs.")
    view = judge(pull_pod(terminated(1, message=encode(said)), phase="Failed"))
    assert view.state is JobState.FAILED
    assert view.retry_at is None
    assert view.problem is not None
    assert view.problem.message.startswith("sha256 differs. Trying the same")
    assert "delete Job pull-k" in view.problem.message


@pytest.mark.parametrize(
    ("attempt", "seconds"),
    [
        ("1", 10),
        ("2", 20),
        ("3", 40),
        ("9", 2560),
        ("10", 3600),
        ("99", 3600),
        ("x", 10),
        ("9" * 30, 10),
    ],
)
def test_tries_are_further_and_further_apart(attempt: str, seconds: int) -> None:
    """10, 20, 40 seconds … an hour after the end of the pod."""
    said = Outcome(reason=Reason.PULL_FAILED, message="503", retryable=True)
    view = judge(pull_pod(terminated(1, message=encode(said))), job(attempt=attempt))
    assert view.retry_at == NOW - 10 + seconds
    assert "at 20" in retry_words(view, view.retry_at)


def test_a_drained_pod_is_replaced_by_the_job() -> None:
    """A disrupted pod's last words are no result: the Job starts another one."""
    said = Outcome(reason=Reason.PULL_FAILED, message="stopped", retryable=True)
    gone = pull_pod(
        terminated(143, message=encode(said)),
        phase="Failed",
        conditions={"DisruptionTarget": "True"},
    )
    assert judge(gone).state is JobState.RUNNING
    assert judge(gone, job(Failed="BackoffLimitExceeded")).state is JobState.FAILED


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "its pod is gone"),
        (pull_pod(terminated(137, "OOMKilled"), phase="Failed"), "more memory than 1Gi"),
        (
            pull_pod({}, phase="Failed", reason="Evicted", message="low on ephemeral-storage"),
            "low on ephemeral-storage",
        ),
        (
            pull_pod(terminated(128, "StartError", "exec: no such file"), phase="Failed"),
            "no such file",
        ),
        (pull_pod(terminated(0, "Completed", "hello"), phase="Succeeded"), "this version"),
        (
            pull_pod(terminated(1, message='{"level":"info","message":"a log"}'), phase="Failed"),
            "exit code 1",
        ),
    ],
)
def test_an_end_without_a_result_is_explained(found: Object | None, words: str) -> None:
    """Evicted, killed or foreign: a sentence, and another try later."""
    ended = job(Failed="")
    view = judge(found, ended)
    assert view.state is JobState.FAILED
    assert view.retryable
    assert view.problem is not None
    assert view.problem.reason == "PullFailed"
    assert words in view.problem.message


def test_a_failed_job_without_a_pod_quotes_the_controller() -> None:
    """The Job's own condition is better than nothing."""
    view = judge(None, job(Failed="Job has reached the specified backoff limit"))
    assert view.problem is not None
    assert "specified backoff limit" in view.problem.message


def test_a_job_that_makes_no_way_says_why() -> None:
    """An image or a node that cannot be had is told while the Job still runs."""
    view = judge(pull_pod(waiting("ErrImagePull", "not found"), phase="Pending"))
    assert view.state is JobState.RUNNING
    assert view.problem is not None
    assert view.problem.reason == "ImagePullFailed"


def test_running_in_words() -> None:
    """A healthy pull says nothing; what is slow to start gets a hint."""
    assert judge(pull_pod(RUNNING)).waiting == ""
    assert judge(None, now=NOW - 20).waiting == ""
    assert judge(pull_pod({}, phase="Pending", node=""), now=NOW - 28).waiting == ""
    assert "kubectl describe job pull-k" in judge(None, now=NOW + 20).waiting
    assert "scheduler" in judge(pull_pod({}, phase="Pending", node="")).waiting


def test_a_job_that_is_being_deleted() -> None:
    """It is not judged any more."""
    gone = job()
    gone["metadata"]["deletionTimestamp"] = CREATED
    assert judge(None, gone).state is JobState.GOING


def test_a_pod_that_is_stopped_in_the_middle() -> None:
    """A drained node's work is gone on with; one that is away has to be told of."""
    going = pull_pod(RUNNING)
    going["metadata"]["deletionTimestamp"] = format_time(NOW)
    going["spec"]["nodeName"] = "n1"
    soon, late = judge(going, now=NOW + 10).waiting, judge(going, now=NOW + 60).waiting
    assert soon == "pod pull-k-1 is being stopped; another one goes on where it was"
    assert "its node n1 may be away" in late
    assert "`kubectl delete pod pull-k-1 --force`" in late
    del going["spec"]["nodeName"]
    assert judge(going, now=NOW + 60).waiting == soon
