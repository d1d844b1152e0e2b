"""Pods and Deployments as a kubelet and the controllers of Kubernetes 1.37 write them."""

from typing import Any

Object = dict[str, Any]
CREATED = "2026-11-21T10:00:00Z"
NOW = 1795255230.0
"""30 seconds after CREATED."""


def pod(
    name: str = "m-abc-1",
    *,
    phase: str = "Running",
    node: str = "n1",
    created: str = CREATED,
    conditions: dict[str, str] | None = None,
    containers: list[Object] | None = None,
    **status: Any,
) -> Object:
    """A runner pod."""
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "creationTimestamp": created,
            "labels": {"app.kubernetes.io/component": "runner"},
        },
        "spec": {
            "nodeName": node,
            "containers": [{"name": "runner", "resources": {"limits": {"memory": "2Gi"}}}],
        },
        "status": {
            "phase": phase,
            "podIP": "10.0.0.7",
            "conditions": [
                {"type": kind, "status": value, "lastTransitionTime": CREATED}
                for kind, value in (conditions or {}).items()
            ],
            "containerStatuses": containers or [],
            **status,
        },
    }


def container(
    state: Object, *, last: Object | None = None, ready: bool = False, restarts: int = 0
) -> Object:
    """The status of the runner's container."""
    return {
        "name": "runner",
        "image": "registry.example/runner:1",
        "imageID": "",
        "ready": ready,
        "started": False,
        "restartCount": restarts,
        "state": state,
        "lastState": last or {},
    }


def waiting(reason: str, message: str = "") -> Object:
    """A container that waits."""
    return {"waiting": {"reason": reason, "message": message}}


def terminated(code: int, reason: str = "Error", message: str = "") -> Object:
    """A container that has ended."""
    return {
        "terminated": {
            "exitCode": code,
            "reason": reason,
            "message": message,
            "finishedAt": "2026-11-21T10:00:20Z",
        }
    }


RUNNING: Object = {"running": {"startedAt": "2026-11-21T10:00:03Z"}}


def unschedulable(message: str) -> Object:
    """A pod that the scheduler has found no node for."""
    found = pod(phase="Pending", node="")
    found["status"]["conditions"] = [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastTransitionTime": CREATED,
        }
    ]
    return found


def deployment(
    *,
    generation: int = 1,
    observed: int = 1,
    replicas: int = 1,
    updated: int = 1,
    total: int = 1,
    conditions: list[Object] | None = None,
) -> Object:
    """A Deployment with its controller's status."""
    return {
        "metadata": {"name": "m", "generation": generation},
        "spec": {"replicas": replicas},
        "status": {
            "observedGeneration": observed,
            "updatedReplicas": updated,
            "replicas": total,
            "conditions": conditions or [],
        },
    }
