"""What the pods of a Model's Deployment are doing: ready, on the way, or why not."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from modelrunner.domain.admission import runner_refused
from modelrunner.domain.containers import crash_problem, statuses, waiting_problem
from modelrunner.domain.objects import (
    Object,
    being_deleted,
    condition,
    created_at,
    dig,
    is_true,
    name_of,
    text,
)
from modelrunner.domain.problem import Problem
from modelrunner.domain.scheduling import is_scheduled, unschedulable
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.runner import RunnerState, RunnerStatus

STARTING: Final = "the runner pod is being started"
PATIENCE: Final = 5.0
"""Seconds of a pod's life in which its stages are not told one by one."""

SLOW_SANDBOX: Final = 60.0
"""Seconds after which a pod without volumes and network is worth a hint."""

_STATES: Final = {
    RunnerState.LOADING: "the engine is loading the model",
    RunnerState.WARMING: "the engine answers its first request to warm up",
    RunnerState.READY: "the runner is ready; the kubelet has not seen it yet",
    RunnerState.RESTARTING: "the engine is being restarted",
    RunnerState.FAILED: "the engine has failed",
    RunnerState.DRAINING: "the runner is finishing its last requests",
}


@dataclass(frozen=True, slots=True)
class PodsView:
    """The pods in short. `newest` is the pod that tells the present; None without pods."""

    ready: int
    newest: Object | None
    newest_ready: bool
    stopping: int


def look(pods: Iterable[Object]) -> PodsView:
    """Order the pods of one Deployment.

    The newest pod belongs to the current template. Failed pods (evicted, refused by a kubelet)
    stay behind as objects after they were replaced, so they speak only when alone.
    """
    everything = list(pods)
    living = [pod for pod in everything if not being_deleted(pod)]
    running = [pod for pod in living if text(pod, "status", "phase") not in {"Failed", "Succeeded"}]
    newest = _newest(running) or _newest(living)
    return PodsView(
        ready=sum(is_true(pod, "Ready") for pod in running),
        newest=newest,
        newest_ready=newest is not None and is_true(newest, "Ready"),
        stopping=len(everything) - len(living),
    )


def pod_problem(
    view: PodsView, deployment: Object, runner: RunnerStatus | None, *, now: float
) -> Problem | None:
    """Why the newest pod does not become ready, most telling cause first."""
    pod = view.newest
    if pod is None:
        return _creation_problem(deployment)
    if view.newest_ready:
        return None
    if not is_scheduled(pod):
        # Under maxSurge 0 the next pod waits for the accelerator of the one that is stopping.
        found = None if view.stopping else unschedulable(pod, now=now)
    else:
        found = waiting_problem(pod) or _runner_problem(runner) or _end_problem(pod)
    return found or _creation_problem(deployment) or _deadline_problem(deployment)


def starting_message(view: PodsView, runner: RunnerStatus | None, *, now: float) -> str:
    """A sentence about a pod that is on its way.

    A start that takes seconds has one sentence: each stage would be a write that nobody reads.
    """
    pod = view.newest
    if pod is None or now - created_at(pod) < PATIENCE:
        return STARTING
    if not is_scheduled(pod):
        if view.stopping:
            return "waiting for the previous pod to stop, so that its place becomes free"
        return "waiting for the scheduler to find a node"
    return _STATES[runner.state] if runner is not None else node_message(pod, now=now)


def node_message(pod: Object, *, now: float) -> str:
    """A sentence about a pod that has a node and does not answer yet."""
    if is_true(pod, "PodReadyToStartContainers") or statuses_running(pod):
        return "the image is being pulled or the container is starting"
    if now - created_at(pod) > SLOW_SANDBOX:
        return (
            f"the volumes or the network of pod {name_of(pod)} are not set up yet;"
            f" `kubectl describe pod {name_of(pod)}` tells what it waits for"
        )
    return "the node is preparing the pod"


def statuses_running(pod: Object) -> bool:
    """Whether a container of the pod runs."""
    return any(dig(status, "state", "running") is not None for status in statuses(pod))


def address(pod: Object) -> str:
    """The pod's IP if a container is there to answer on it, else ""."""
    return text(pod, "status", "podIP") if statuses_running(pod) else ""


def _newest(pods: Sequence[Object]) -> Object | None:
    return max(pods, key=lambda pod: (created_at(pod), name_of(pod)), default=None)


def _runner_problem(runner: RunnerStatus | None) -> Problem | None:
    if runner is None or runner.state in {RunnerState.READY, RunnerState.DRAINING}:
        return None
    if runner.state is RunnerState.FAILED or runner.reason is not None:
        return Problem(runner.reason or Reason.ENGINE_FAILED, runner.message or "the engine failed")
    return None


def _end_problem(pod: Object) -> Problem | None:
    if text(pod, "status", "phase") == "Failed":
        return _refused_problem(pod)
    return crash_problem(pod)


def _refused_problem(pod: Object) -> Problem:
    # Evicted, or refused by the kubelet (UnexpectedAdmissionError, OutOfcpu, NodeAffinity).
    reason, words = text(pod, "status", "reason"), text(pod, "status", "message")
    ended = crash_problem(pod)
    if ended is not None and not reason:
        return ended
    return Problem(
        Reason.UNSCHEDULABLE,
        f"pod {name_of(pod)} was refused or evicted by its node"
        f" ({reason or 'no reason given'}): {words or 'no message'}. A new pod replaces it; if that"
        " happens again, raise spec.resources.requests of the ModelRunner or use another node",
    )


def _creation_problem(deployment: Object) -> Problem | None:
    # Quotas and admission (Pod Security, webhooks) refuse pods before there is one to look at.
    found = condition(deployment, "ReplicaFailure")
    if found is None or found.get("status") != "True":
        return None
    return runner_refused(text(found, "message"))


def _deadline_problem(deployment: Object) -> Problem | None:
    found = condition(deployment, "Progressing")
    if found is None or found.get("reason") != "ProgressDeadlineExceeded":
        return None
    return Problem(
        Reason.STARTUP_TIMED_OUT,
        "the pod did not become ready in time; its events and its log tell more. If the model only needs"
        " longer to load, raise spec.startupTimeout of the ModelRunner",
    )
