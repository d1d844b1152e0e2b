"""Models and EndpointSlices as the operator and Kubernetes would write them, by hand."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modelrunner.domain.naming import MANAGED_BY, MANAGED_BY_LABEL, MODEL_LABEL
from modelrunner.gateway.table.slices import SERVICE_LABEL
from modelrunner_protocol.wire import PORT_NAME
from tests.support import manifests
from tests.support.kubeapi import KubeApi

READY = {"type": "Ready", "status": "True", "reason": "Ready", "message": "it answers"}
SLICE = ("discovery.k8s.io/v1", "EndpointSlice")
SECRET = ("v1", "Secret")
MODEL = (manifests.API_VERSION, "Model")
ARTIFACT = {
    "format": "gguf",
    "architecture": "llama",
    "parameters": "134.52M",
    "quantization": "Q4_0",
    "size": "92.1 MiB",
    "contextSize": 8192,
}


@dataclass(slots=True)
class World:
    """One namespace. `borrow` gives an address that EndpointSlices accept."""

    api: KubeApi
    namespace: str
    borrow: Callable[[], str]
    slices: int = 0

    def model(self, name: str, *, status: dict[str, Any] | None = None, **spec: Any) -> None:
        """A Model that is Ready, with nothing behind it."""
        source = {"http": {"url": f"https://models.example.com/{name}.gguf"}}
        made = self.api.create(manifests.model(self.namespace, name, source, **spec))
        condition = {
            **READY,
            "observedGeneration": 1,
            "lastTransitionTime": made["metadata"]["creationTimestamp"],
        }
        told = {
            "observedGeneration": 1,
            "phase": "Ready",
            "engine": "llama.cpp",
            "replicas": 1,
            "conditions": [condition],
            "artifact": ARTIFACT,
            **(status or {}),
        }
        body = {"apiVersion": MODEL[0], "kind": MODEL[1], "metadata": made["metadata"]}
        body["metadata"] = {"name": name, "namespace": self.namespace}
        self.api.merge({**body, "status": told}, subresource="status")

    def endpoint(self, model: str, port: int) -> str:
        """A ready pod of a Model at a port of this machine; the name of its slice."""
        self.slices += 1
        name = f"{model}-{self.slices}"
        pod = {"kind": "Pod", "name": f"{name}-pod", "uid": name, "namespace": self.namespace}
        labels = {MANAGED_BY_LABEL: MANAGED_BY, MODEL_LABEL: model, SERVICE_LABEL: model}
        endpoint = {
            "addresses": [self.borrow()],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "targetRef": pod,
        }
        self.api.create(
            {
                "apiVersion": SLICE[0],
                "kind": SLICE[1],
                "metadata": {"name": name, "namespace": self.namespace, "labels": labels},
                "addressType": "IPv4",
                "ports": [{"name": PORT_NAME, "port": port, "protocol": "TCP"}],
                "endpoints": [endpoint],
            }
        )
        return name

    def forget(self, slice_name: str) -> None:
        """Remove a slice."""
        self.api.delete(*SLICE, slice_name, self.namespace)

    def delete(self, model: str) -> None:
        """Delete a Model."""
        self.api.delete(*MODEL, model, self.namespace)

    def stalled(self, model: str, reason: str, message: str) -> None:
        """The operator says that somebody has to act."""
        common = {
            "reason": reason,
            "message": message,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
            "observedGeneration": 1,
        }
        conditions = [
            {**common, "type": "Ready", "status": "False"},
            {**common, "type": "Stalled", "status": "True"},
        ]
        body = {
            "apiVersion": MODEL[0],
            "kind": MODEL[1],
            "metadata": {"name": model, "namespace": self.namespace},
            "status": {"phase": "Failed", "conditions": conditions},
        }
        self.api.merge(body, subresource="status")
