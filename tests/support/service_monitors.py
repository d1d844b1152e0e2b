"""The Prometheus Operator's kind, as far as the API server cares: served while a block runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.cluster.waiting import wait_until
from tests.support.kubeapi import KubeApi, Object

API_VERSION: Final = "monitoring.coreos.com/v1"
_CRD: Final = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
_NAME: Final = "servicemonitors.monitoring.coreos.com"
_SCHEMA: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_DEFINITION: Final[Object] = {
    "apiVersion": _CRD[0],
    "kind": _CRD[1],
    "metadata": {"name": _NAME},
    "spec": {
        "group": "monitoring.coreos.com",
        "scope": "Namespaced",
        "names": {
            "kind": "ServiceMonitor",
            "listKind": "ServiceMonitorList",
            "plural": "servicemonitors",
            "singular": "servicemonitor",
        },
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": _SCHEMA}}
        ],
    },
}


@contextmanager
def serving_service_monitors(api: KubeApi) -> Iterator[None]:
    """Install the kind, and remove it, and all objects of it, at the end."""
    api.apply(_DEFINITION)

    def served() -> bool:
        return api.http.get(f"/apis/{API_VERSION}/servicemonitors").is_success

    def known() -> bool:
        # Discovery, which the operator asks, is written by a controller of its own.
        return api.http.get(f"/apis/{API_VERSION}").is_success

    wait_until("the kind ServiceMonitor", lambda: served() and known(), seconds=120)
    try:
        yield
    finally:
        api.delete(*_CRD, _NAME)
        wait_until("the end of the kind", lambda: not (served() or known()), seconds=120)
