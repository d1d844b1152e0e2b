"""Objects, rights and questions that the tests of the operator process share."""

from pathlib import Path
from typing import Any

import yaml

from tests.cluster.control_plane import ControlPlane
from tests.support.kubeapi import KubeApi
from tests.support.operator_counters import read_own
from tests.support.operators import Operator
from tests.support.rights import until_rights_hold

API = "modelrunner.dev/v1alpha1"
_LOOKS = 8
LEASE = ("coordination.k8s.io/v1", "Lease", "model-runner-operator")


def model(namespace: str, name: str, file: str = "a.gguf") -> dict[str, Any]:
    """A Model of the default runner; the fake reconcilers' artifact key is the file's name."""
    return {
        "apiVersion": API,
        "kind": "Model",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"source": {"http": {"url": f"http://files.test/{file}"}}},
    }


def runner(namespace: str, name: str = "default") -> dict[str, Any]:
    """A ModelRunner."""
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": API, "kind": "ModelRunner", "metadata": meta, "spec": {}}


def claim(namespace: str, **labels: str) -> dict[str, Any]:
    """A managed claim with our labels."""
    ours = {f"modelrunner.dev/{label}": value for label, value in labels.items()}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "c",
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "model-runner-operator", **ours},
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


def rule(group: str, resources: str, verbs: str) -> dict[str, Any]:
    """A rule of a Role."""
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}


# As the docstring of manager/process.py says.
RIGHTS = [
    rule("coordination.k8s.io", "leases", "get create update"),
    rule("modelrunner.dev", "models modelrunners", "get list watch"),
    rule("apps", "deployments", "get list watch create patch"),
    rule("batch", "jobs", "get list watch create patch delete"),
    rule("", "services", "get list watch create patch"),
    rule("", "persistentvolumeclaims", "get list watch create patch delete"),
    rule("apps", "deployments/scale", "get patch"),
    rule("", "pods", "get list watch patch"),
]


def account(
    api: KubeApi,
    control_plane: ControlPlane,
    namespace: str,
    rules: list[dict[str, Any]],
    folder: Path,
) -> Path:
    """A kubeconfig of a service account that has just these rights in its namespace."""
    rbac = "rbac.authorization.k8s.io"
    meta = {"name": "op", "namespace": namespace}
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
    api.create({"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": meta, "rules": rules})
    api.create(
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "op"},
            "subjects": [{"kind": "ServiceAccount", "name": "op", "namespace": namespace}],
        }
    )
    until_rights_hold(api, namespace)
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/op/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    config = yaml.safe_load(control_plane.kubeconfig.read_text("utf-8"))
    config["users"][0]["user"] = {"token": api.request("POST", path, request)["status"]["token"]}
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(config), "utf-8")
    return file


def reconciled(operator: Operator, kind: str, namespace: str, name: str) -> int:
    """How often it has looked at an object."""
    return operator.lines("reconcile ").count(f"{kind} {namespace}/{name}")


def quiet(api: KubeApi, operator: Operator) -> int:
    """Wait until nothing is left to do; the number of reconciles so far.

    Each look is answered by the API server and by the operator: one that stands still for a
    moment is not taken for one that has nothing to do.
    """
    counts: list[float] = []

    def settled() -> bool:
        api.get("v1", "Namespace", "default")
        seen = read_own(operator)
        # Who gives no answer has none to tell.
        counts.append(0 if seen.busy else seen.reconciles)
        return len(counts) >= _LOOKS and set(counts[-_LOOKS:]) == {counts[-1]} != {0}

    operator.wait("silence", settled)
    return len(operator.lines("reconcile "))
