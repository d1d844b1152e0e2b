"""Models and EndpointSlices as the API server sends them, for tests of the route table."""

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from modelrunner.domain.naming import MANAGED_BY, MANAGED_BY_LABEL, MODEL_LABEL

Object = dict[str, Any]

SERVICE_LABEL = "kubernetes.io/service-name"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
"""Any JSON value, for what should have been something else."""


def model(
    path: str = "ml/smollm2",
    *,
    uid: str = "",
    version: int = 1,
    generation: int = 1,
    created: str = "2026-07-01T00:00:00Z",
    aliases: Sequence[str] = (),
    spec: Mapping[str, Any] | None = None,
    status: Mapping[str, Any] | None = None,
    **metadata: Any,
) -> Object:
    """A Model; `path` is namespace/name, and its uid unless another is given."""
    namespace, _, name = path.partition("/")
    return {
        "apiVersion": "modelrunner.dev/v1alpha1",
        "kind": "Model",
        "metadata": {
            "namespace": namespace,
            "name": name,
            "uid": uid or path,
            "resourceVersion": str(version),
            "generation": generation,
            "creationTimestamp": created,
            **metadata,
        },
        "spec": {
            "source": {"http": {"url": "http://models.example.com/model.gguf"}},
            **({"aliases": list(aliases)} if aliases else {}),
            **(spec or {}),
        },
        **({"status": dict(status)} if status is not None else {}),
    }


def condition(
    kind: str, status: str, reason: str, message: str = "", generation: int = 1
) -> Object:
    """One condition, as the operator writes it."""
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": "2026-07-01T00:00:00Z",
    }


def endpoint(
    address: str, *, ready: bool | None = True, terminating: bool = False, pod: str = ""
) -> Object:
    """An endpoint of a slice; `pod` is its pod's uid and name."""
    conditions: Object = {"serving": ready is not False, "terminating": terminating}
    if ready is not None:
        conditions["ready"] = ready and not terminating
    found: Object = {"addresses": [address], "conditions": conditions}
    if pod:
        found["targetRef"] = {"kind": "Pod", "name": pod, "uid": pod}
    return found


def endpoint_slice(
    path: str = "ml/smollm2",
    *endpoints: Object,
    name: str = "",
    family: str = "IPv4",
    port: Any = 8080,
    labels: Mapping[str, str] | None = None,
) -> Object:
    """A slice of the Service of the Model at `path`; `labels` replace or add to the usual ones."""
    namespace, _, service = path.partition("/")
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": namespace,
            "name": name or f"{service}-x",
            "labels": {
                SERVICE_LABEL: service,
                MANAGED_BY_LABEL: MANAGED_BY,
                MODEL_LABEL: service,
                **(labels or {}),
            },
        },
        "addressType": family,
        "endpoints": list(endpoints),
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
    }
