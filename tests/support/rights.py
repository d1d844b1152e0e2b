"""Rights that a test gives away: the API server reads roles and bindings by watches, in its own time."""

from functools import partial
from uuid import uuid4

from tests.cluster.waiting import wait_until
from tests.support.kubeapi import KubeApi, Object

_GROUP = "rbac.authorization.k8s.io"


def until_rights_hold(api: KubeApi, namespace: str) -> None:
    """Wait until the API server goes by all roles and bindings that were written until now.

    Each of its four watches tells in order: when it goes by one of each kind that is written last,
    it goes by all before them.
    """
    user = f"last-{uuid4().hex[:10]}"
    last = [*_rights("Role", user, namespace), *_rights("ClusterRole", user)]
    for one in last:
        api.create(one)
    for resource in ("role", "clusterrole"):
        wish = {"namespace": namespace, "group": user, "resource": resource, "verb": "get"}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "metadata": {},
            "spec": {"user": user, "resourceAttributes": wish},
        }
        wait_until(f"a new {resource}", partial(_allowed, api, review), seconds=120)
    for one in last:
        api.delete(one["apiVersion"], one["kind"], user, one["metadata"].get("namespace", ""))


def _rights(kind: str, user: str, namespace: str = "") -> tuple[Object, Object]:
    version, metadata = f"{_GROUP}/v1", {"name": user}
    if namespace:
        metadata["namespace"] = namespace
    rules = [{"apiGroups": [user], "resources": [kind.lower()], "verbs": ["get"]}]
    role = {"apiVersion": version, "kind": kind, "metadata": metadata, "rules": rules}
    binding = {
        "apiVersion": version,
        "kind": f"{kind}Binding",
        "metadata": metadata,
        "roleRef": {"apiGroup": _GROUP, "kind": kind, "name": user},
        "subjects": [{"apiGroup": _GROUP, "kind": "User", "name": user}],
    }
    return role, binding


def _allowed(api: KubeApi, review: Object) -> bool:
    return bool(api.create(review)["status"]["allowed"])
