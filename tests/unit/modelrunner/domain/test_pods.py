"""Every reason that a runner pod can give, in the words of real kubelets and schedulers."""

import pytest

from modelrunner.domain.pods import look, pod_problem, starting_message
from modelrunner_protocol.codec import encode
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.runner import RunnerState, RunnerStatus
from modelrunner_protocol.wire import Outcome
from tests.unit.modelrunner.domain.pod_json import (
    NOW,
    RUNNING,
    Object,
    container,
    deployment,
    pod,
    terminated,
    unschedulable,
    waiting,
)

GPU = (
    "0/3 nodes are available: 3 Insufficient nvidia.com/gpu. no new claims to deallocate, preemption:"
    " 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
)


def judge(found: Object, runner: RunnerStatus | None = None, now: float = NOW) -> tuple[str, str]:
    """Reason and message of a single pod."""
    problem = pod_problem(look([found]), deployment(), runner, now=now)
    return (str(problem.reason), problem.message) if problem else ("", "")


@pytest.mark.parametrize(
    ("words", "mend"),
    [
        (GPU, "no node has enough free nvidia.com/gpu"),
        ("0/1 nodes are available: 1 Insufficient memory.", "spec.resources.requests.memory"),
        ("0/1 nodes are available: 1 Insufficient cpu.", "spec.resources.requests.cpu"),
        ("0/1 nodes are available: 1 Too many pods. 1 Insufficient pods.", "add a node"),
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint(s).",
            "spec.scheduling.tolerations",
        ),
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint {gpu: }.",
            "spec.scheduling.tolerations",
        ),
        (
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
            "nodeSelector",
        ),
        (
            "0/2 nodes are available: 1 node(s) had volume node affinity conflict, 1 Preemption",
            "delete the claim so that the model is pulled again",
        ),
        (
            '0/1 nodes are available: persistentvolumeclaim "mine" not found.',
            "check the claim's name",
        ),
        (
            "0/1 nodes are available: 1 node(s) didn't satisfy something new.",
            "change spec.scheduling",
        ),
    ],
)
def test_unschedulable(words: str, mend: str) -> None:
    """The scheduler's words and what to do about them."""
    reason, message = judge(unschedulable(words))
    assert reason == "Unschedulable"
    assert words.rstrip(".") in message
    assert mend in message


def test_a_volume_that_is_being_made_is_no_problem_yet() -> None:
    """A claim binds seconds after its pod was made: only then the pod counts as unschedulable."""
    found = unschedulable(
        "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    )
    assert judge(found, now=NOW - 5)[0] == ""
    reason, message = judge(found, now=NOW + 5)
    assert reason == "Unschedulable"
    assert "storageClassName" in message


def test_a_conflict_of_the_scheduler_is_no_problem_yet() -> None:
    """The scheduler says SchedulerError when a write collides with ours, and tries again."""
    found = unschedulable('running PreBind plugin "VolumeBinding": the object has been modified')
    (scheduled,) = found["status"]["conditions"]
    scheduled["reason"] = "SchedulerError"
    assert judge(found, now=NOW - 5)[0] == ""
    assert judge(found, now=NOW + 5)[0] == "Unschedulable"


def test_waiting_for_the_accelerator_of_the_old_pod_is_no_problem() -> None:
    """Under maxSurge 0 the next pod is unschedulable until its predecessor has ended."""
    old = pod("old", conditions={"Ready": "True"}, containers=[container(RUNNING, ready=True)])
    old["metadata"]["deletionTimestamp"] = "2026-11-21T10:00:01Z"
    view = look([old, unschedulable(GPU)])
    assert pod_problem(view, deployment(), None, now=NOW) is None
    assert "previous pod" in starting_message(view, None, now=NOW)


CAUSE = (
    'failed to pull and unpack image "registry.example/runner:1": failed to resolve reference'
    ' "registry.example/runner:1": registry.example/runner:1: not found'
)


def test_an_image_tells_one_text_in_both_of_its_states() -> None:
    """ErrImagePull and ImagePullBackOff take turns; the message must not."""
    first = judge(pod(phase="Pending", containers=[container(waiting("ErrImagePull", CAUSE))]))
    back_off = f'Back-off pulling image "registry.example/runner:1": ErrImagePull: {CAUSE}'
    second = judge(
        pod(phase="Pending", containers=[container(waiting("ImagePullBackOff", back_off))])
    )
    assert first == second
    assert first[0] == "ImagePullFailed"
    assert CAUSE in first[1]
    assert "registry.example/runner:1" in first[1]


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("ErrImageNeverPull", 'Container image "x" is not present with pull policy of Never'),
        ("InvalidImageName", 'Failed to apply default image tag "X": invalid reference format'),
        ("ImagePullBackOff", 'Back-off pulling image "x"'),
    ],
)
def test_other_images(reason: str, message: str) -> None:
    """All the ways in which an image cannot be had."""
    found = pod(phase="Pending", containers=[container(waiting(reason, message))])
    assert judge(found)[0] == "ImagePullFailed"


def test_a_container_that_cannot_be_created() -> None:
    """A missing Secret is the configuration's fault, and named."""
    found = pod(
        phase="Pending",
        containers=[container(waiting("CreateContainerConfigError", 'secret "s" not found'))],
    )
    reason, message = judge(found)
    assert reason == "InvalidConfiguration"
    assert 'secret "s" not found' in message


def crash(last: Object, restarts: int = 3) -> Object:
    """A pod in CrashLoopBackOff."""
    back_off = "back-off 40s restarting failed container=runner pod=m-abc-1_ns(uid)"
    return pod(
        conditions={"Ready": "False"},
        containers=[container(waiting("CrashLoopBackOff", back_off), last=last, restarts=restarts)],
    )


def test_a_crash_tells_its_last_words() -> None:
    """The termination message, or the log's end that the kubelet took for it."""
    reason, message = judge(crash(terminated(1, message="Traceback: no module named x")))
    assert reason == "CrashLooping"
    assert "exit code 1" in message
    assert "no module named x" in message
    assert "40s" not in message


def test_a_crash_is_told_while_the_container_runs_again() -> None:
    """Between two crashes the reason does not flap to Starting."""
    again = pod(containers=[container(RUNNING, last=terminated(1, message="boom"), restarts=2)])
    assert judge(again) == judge(crash(terminated(1, message="boom")))


def test_the_runners_own_verdict_wins() -> None:
    """Runnerd leaves an Outcome, which says more than an exit code."""
    said = Outcome(reason=Reason.ENGINE_FAILED, message="llama-server: unknown model architecture")
    reason, message = judge(crash(terminated(1, message=encode(said))))
    assert (reason, message) == ("EngineFailed", said.message)


def test_out_of_memory_says_the_limit() -> None:
    """OOMKilled, with the limit and what to change."""
    reason, message = judge(crash(terminated(137, "OOMKilled")))
    assert reason == "OutOfMemory"
    assert "2Gi" in message
    assert "spec.resources.limits.memory" in message


def test_a_restarted_node_is_nobodys_fault() -> None:
    """The kubelet calls a container that it lost track of Unknown, exit code 255."""
    found = pod(containers=[container(RUNNING, last=terminated(255, "Unknown"), restarts=1)])
    assert judge(found)[0] == ""


def runner(state: RunnerState, reason: Reason | None = None, message: str = "") -> RunnerStatus:
    """What the runner says of itself."""
    return RunnerStatus(state=state, started_at=0.0, reason=reason, message=message)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (runner(RunnerState.FAILED, Reason.STARTUP_TIMED_OUT, "30m"), "StartupTimedOut"),
        (runner(RunnerState.FAILED), "EngineFailed"),
        (runner(RunnerState.RESTARTING, Reason.OUT_OF_MEMORY, "x"), "OutOfMemory"),
        (runner(RunnerState.LOADING, Reason.ENGINE_FAILED, "log"), "EngineFailed"),
        (runner(RunnerState.LOADING), ""),
        (runner(RunnerState.WARMING), ""),
        (runner(RunnerState.READY, Reason.ENGINE_FAILED, "old"), ""),
    ],
)
def test_what_the_runner_says(status: RunnerStatus, reason: str) -> None:
    """A running pod that is not ready is explained by its runner."""
    assert judge(pod(containers=[container(RUNNING)]), status)[0] == reason


def test_pods_that_may_not_be_created() -> None:
    """A quota or Pod Security refuses a pod before there is one to look at."""
    quota = deployment(
        conditions=[
            {
                "type": "ReplicaFailure",
                "status": "True",
                "reason": "FailedCreate",
                "message": 'pods "m-x" is forbidden: exceeded quota: q, requested: pods=1',
            }
        ]
    )
    problem = pod_problem(look([]), quota, None, now=NOW)
    assert problem is not None
    assert problem.reason == "Unschedulable"
    assert "raise the quota" in problem.message
    quota["status"]["conditions"][0]["message"] = 'pods "m" is forbidden: violates PodSecurity'
    problem = pod_problem(look([]), quota, None, now=NOW)
    assert problem is not None
    assert problem.reason == "InvalidConfiguration"


def test_a_deadline_without_another_reason() -> None:
    """ProgressDeadlineExceeded is the last resort."""
    late = deployment(
        conditions=[
            {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
        ]
    )
    problem = pod_problem(look([pod(containers=[container(RUNNING)])]), late, None, now=NOW)
    assert problem is not None
    assert problem.reason == "StartupTimedOut"


def test_evicted_pods_speak_only_when_alone() -> None:
    """An evicted pod stays behind as an object; its successor tells the present."""
    gone = pod(
        "gone",
        phase="Failed",
        reason="Evicted",
        message="The node was low on resource: ephemeral-storage.",
        created="2026-11-21T10:00:09Z",
    )
    reason, message = judge(gone)
    assert reason == "Unschedulable"
    assert "ephemeral-storage" in message
    fresh = pod("fresh", conditions={"Ready": "True"}, containers=[container(RUNNING, ready=True)])
    assert look([gone, fresh]).newest == fresh


def test_the_newest_pod_tells_the_present() -> None:
    """Of a rollout the new pod's problem is told, and ready pods are counted over all."""
    old = pod("old", conditions={"Ready": "True"})
    new = crash(terminated(1, message="boom"))
    new["metadata"]["creationTimestamp"] = "2026-11-21T10:00:25Z"
    view = look([old, new])
    assert view.newest == new
    assert view.ready == 1


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (pod(phase="Pending", node=""), "scheduler"),
        (pod(phase="Pending"), "preparing the pod"),
        (pod(phase="Pending", conditions={"PodReadyToStartContainers": "True"}), "image"),
    ],
)
def test_starting_in_words(found: Object, words: str) -> None:
    """Each stage of a healthy start has its sentence."""
    assert judge(found)[0] == ""
    assert words in starting_message(look([found]), None, now=NOW)


def test_a_quick_start_has_one_sentence() -> None:
    """In its first seconds a pod's stages are not written one by one."""
    stages = [pod(phase="Pending", node=""), pod(phase="Pending"), pod(containers=[])]
    said = {starting_message(look([found]), None, now=NOW - 27) for found in stages}
    assert said == {"the runner pod is being started"}


def test_a_pod_without_its_volumes_gets_a_hint() -> None:
    """Mount failures are only in events: after a minute the message says where to look."""
    message = starting_message(look([pod(phase="Pending")]), None, now=NOW + 60)
    assert "kubectl describe pod m-abc-1" in message
