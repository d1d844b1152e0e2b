"""A cold start by stage, out of the pod's times and the runner's own."""

from typing import Any

from modelrunner.domain.naming import RUNNER_CONTAINER
from modelrunner.domain.objects import (
    Object,
    condition,
    created_at,
    dig,
    is_true,
    items,
    parse_time,
    text,
)
from modelrunner_protocol.runner import RunnerStatus


def startup_times(pod: Object, runner: RunnerStatus | None) -> dict[str, Any] | None:
    """`status.startup` of a ready pod; stages whose ends are not known are left out.

    Kubernetes rounds its times to whole seconds, the runner does not; a stage never is negative.
    """
    created = created_at(pod)
    if not created or not is_true(pod, "Ready"):
        return None
    scheduled = parse_time(text(condition(pod, "PodScheduled"), "lastTransitionTime"))
    running = runner.started_at if runner is not None else _container_started(pod)
    healthy = runner.engine_ready_at if runner is not None else None
    warmed = runner.warmed_at if runner is not None else None
    ready = warmed or parse_time(text(condition(pod, "Ready"), "lastTransitionTime"))
    stages = {
        "scheduledSeconds": _between(created, scheduled),
        "imageSeconds": _between(scheduled, running),
        "engineSeconds": _between(running, healthy),
        "warmupSeconds": _between(healthy, warmed),
        "totalSeconds": _between(created, ready),
    }
    return {stage: seconds for stage, seconds in stages.items() if seconds is not None}


def _container_started(pod: Object) -> float | None:
    for status in items(pod, "status", "containerStatuses"):
        if text(status, "name") == RUNNER_CONTAINER:
            return parse_time(text(dig(status, "state", "running"), "startedAt"))
    return None


def _between(start: float | None, end: float | None) -> float | None:
    return round(max(0.0, end - start), 2) if start is not None and end is not None else None
