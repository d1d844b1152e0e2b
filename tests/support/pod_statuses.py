"""What a kubelet writes into the status of a pod, for control planes that have no node."""

import time
from typing import Any

from modelrunner_protocol.wire import Artifact, WeightsFile
from tests.support.kubeapi import Object

SHA = "a" * 64
ARTIFACT = Artifact(
    format="gguf",
    size_bytes=98_400_000,
    files=(WeightsFile(path="m.gguf", size_bytes=98_400_000, sha256=SHA),),
    digest=f"sha256:{SHA}",
    architecture="llama",
    parameters="135M",
    quantization="Q4_1",
    context_size=8192,
)


def running(component: str, address: str, *, ready: bool = False) -> Object:
    """The pod has a node and an address, and its container runs."""
    kinds = ["PodScheduled", *(["Ready"] if ready else [])]
    return {
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": [
            {"type": kind, "status": "True", "lastTransitionTime": now()} for kind in kinds
        ],
        "containerStatuses": [
            container(component, ready=ready, state={"running": {"startedAt": now()}})
        ],
    }


def ended(component: str, message: str, *, exit_code: int = 0) -> Object:
    """The container has ended with that termination message."""
    good = exit_code == 0
    terminated = {
        "exitCode": exit_code,
        "reason": "Completed" if good else "Error",
        "message": message,
        "startedAt": now(),
        "finishedAt": now(),
    }
    return {
        "phase": "Succeeded" if good else "Failed",
        "containerStatuses": [container(component, state={"terminated": terminated})],
    }


def container(name: str, *, state: Object, ready: bool = False, **more: Any) -> Object:
    """A container status."""
    return {
        "name": name,
        "image": "localhost/model-runner:test",
        "imageID": "",
        "ready": ready,
        "restartCount": 0,
        "state": state,
        **more,
    }


def now() -> str:
    """This second, as the API server writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
