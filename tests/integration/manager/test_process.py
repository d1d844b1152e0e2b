"""The operator process against a real API server: its whole life, and its accidents."""

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.control_plane import ControlPlane
from tests.integration.manager.operators import Operator
from tests.support.kubeapi import KubeApi

pytestmark = pytest.mark.control_plane
API = "modelrunner.dev/v1alpha1"
LEASE = ("coordination.k8s.io/v1", "Lease", "model-runner-operator")
LONG_LEASE = {
    "MODELRUNNER_LEASE_SECONDS": "120",
    "MODELRUNNER_LEASE_RENEW_SECONDS": "100",
    "MODELRUNNER_LEASE_RETRY_SECONDS": "1",
}


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


def reconciled(operator: Operator, kind: str, namespace: str, name: str) -> int:
    """How often it has looked at an object."""
    return operator.lines("reconcile ").count(f"{kind} {namespace}/{name}")


def quiet(operator: Operator) -> int:
    """Wait until nothing is left to do; the number of reconciles so far."""
    counts: list[int] = []

    def settled() -> bool:
        counts.append(len(operator.lines("reconcile ")))
        return len(counts) > 15 and len(set(counts[-15:])) == 1

    operator.wait("silence", settled)
    return counts[-1]


def test_it_starts_leads_reconciles_and_ends_cleanly(
    api: KubeApi, namespace: str, operator: Operator
) -> None:
    """From nothing to ready, every object looked at, SIGTERM → 0 and a free lease."""
    before = [api.create(runner(namespace)), api.create(model(namespace, "m"))]
    operator.start()
    operator.wait_role("leader")
    operator.wait("the Model", lambda: reconciled(operator, "Model", namespace, "m") > 0)
    operator.wait(
        "the runner", lambda: reconciled(operator, "ModelRunner", namespace, "default") > 0
    )
    status, health = operator.get("/healthz")
    assert status == 200
    assert health["role"] == "leader"
    metrics = operator.get("/metrics")[1]
    for line in (
        "modelrunner_leader 1.0",
        'modelrunner_models{phase="Unknown"} 1.0',
        'modelrunner_reconcile_total{kind="Model",result="success"}',
        "modelrunner_queue_depth 0.0",
        'modelrunner_watch_last_event_age_seconds{resource="models.modelrunner.dev"}',
    ):
        assert line in metrics
    operator.signal(signal.SIGTERM)
    assert operator.end() == 0
    assert "closed" in operator.log.splitlines()
    lease = api.get(*LEASE, namespace)
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == ""
    # Nothing of a user's object was written: no annotation, no finalizer, not even a version.
    for item in before:
        after = api.get(API, item["kind"], item["metadata"]["name"], namespace)
        assert after == item
    levels = {json.loads(line)["level"] for line in operator.log.splitlines() if line[0] == "{"}
    assert levels == {"info"}


def test_changes_reach_the_keys_they_concern(
    api: KubeApi, namespace: str, operator: Operator
) -> None:
    """A new Model, a child of its artifact, a deletion; strangers and silence cost nothing."""
    operator.start()
    operator.wait_role("leader")
    for name, file in (("a", "one.gguf"), ("b", "one.gguf"), ("c", "two.gguf")):
        api.create(model(namespace, name, file))
    operator.wait("c", lambda: reconciled(operator, "Model", namespace, "c") > 0)
    quiet(operator)
    counts = {name: reconciled(operator, "Model", namespace, name) for name in "abc"}
    api.create(claim(namespace, artifact="one.gguf"))
    operator.wait(
        "the sharers",
        lambda: all(reconciled(operator, "Model", namespace, name) > counts[name] for name in "ab"),
    )
    quiet(operator)
    assert reconciled(operator, "Model", namespace, "c") == counts["c"]
    before = quiet(operator)
    api.delete(API, "Model", "c", namespace)
    operator.wait("the end", lambda: reconciled(operator, "Model", namespace, "c") > counts["c"])
    assert quiet(operator) <= before + 4
    written = re.findall(
        r"modelrunner_api_writes_total\{resource=\"([^\"]+)\"", operator.get("/metrics")[1]
    )
    assert set(written) == {"leases.coordination.k8s.io"}


def test_a_standby_serves_probes_and_takes_over_when_the_leader_ends(
    api: KubeApi, namespace: str, operator: Operator, another: Operator
) -> None:
    """Two replicas, a rolling update: the second leads as soon as the first has let go."""
    api.create(model(namespace, "m"))
    operator.start()
    operator.wait_role("leader")
    another.start()
    another.wait_role("standby")
    assert another.get("/healthz")[0] == 200
    assert "modelrunner_leader 0.0" in another.get("/metrics")[1]
    assert another.lines("reconcile ") == []
    operator.signal(signal.SIGTERM)
    assert operator.end() == 0
    another.wait_role("leader")
    another.wait("the Model", lambda: reconciled(another, "Model", namespace, "m") > 0)


def test_a_killed_leader_is_replaced(
    api: KubeApi, namespace: str, operator: Operator, another: Operator
) -> None:
    """SIGKILL, as by the kernel out of memory: the lease expires."""
    operator.start()
    operator.wait_role("leader")
    another.start()
    another.wait_role("standby")
    operator.signal(signal.SIGKILL)
    another.wait_role("leader")


def test_losing_the_lease_ends_the_process_at_once(
    api: KubeApi, namespace: str, operator: Operator
) -> None:
    """Somebody else holds it: no reconcile goes on, the status is not 0."""
    api.create(model(namespace, "m"))
    operator.start(SLOW="60")
    operator.wait_role("leader")
    operator.wait("a reconcile", lambda: len(operator.lines("reconcile ")) > 0)
    holder = {"holderIdentity": "somebody-else", "leaseDurationSeconds": 60}
    name = {"name": LEASE[2], "namespace": namespace}
    api.merge({"apiVersion": LEASE[0], "kind": LEASE[1], "metadata": name, "spec": holder})
    assert operator.end(seconds=8) == 3
    assert operator.lines("finished ") == []
    lease = api.get(*LEASE, namespace)
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == "somebody-else"


def test_a_running_reconcile_may_finish_at_sigterm(
    api: KubeApi, namespace: str, operator: Operator
) -> None:
    """What runs ends, what waits is left to the next leader."""
    api.create(model(namespace, "m"))
    operator.start(SLOW="2")
    operator.wait_role("leader")
    operator.wait("a reconcile", lambda: len(operator.lines("reconcile ")) > 0)
    operator.signal(signal.SIGTERM)
    assert operator.end() == 0
    assert len(operator.lines("finished ")) == len(operator.lines("reconcile "))


def test_what_is_deleted_while_nobody_watches_is_noticed(
    api: KubeApi, namespace: str, operator: Operator, control_plane: ControlPlane
) -> None:
    """The API server restarts and an object goes before the watch is back: no DELETED comes."""
    for name in ("stays", "goes"):
        api.create(model(namespace, name))
    operator.start(**LONG_LEASE, MODELRUNNER_RESYNC_SECONDS="20")
    operator.wait_role("leader")
    operator.wait("goes", lambda: reconciled(operator, "Model", namespace, "goes") > 0)
    quiet(operator)
    before = reconciled(operator, "Model", namespace, "goes")
    operator.signal(signal.SIGSTOP)
    control_plane.stop_apiserver()
    control_plane.start_apiserver()
    api.delete(API, "Model", "goes", namespace)
    operator.signal(signal.SIGCONT)
    operator.wait(
        "the deletion", lambda: reconciled(operator, "Model", namespace, "goes") > before, 60
    )
    # The watches are back: a change is seen without a resync.
    api.create(model(namespace, "new"))
    operator.wait("new", lambda: reconciled(operator, "Model", namespace, "new") > 0, 60)
    operator.wait_role("leader")
    assert operator.get("/healthz")[0] == 200


def test_an_api_server_that_is_away_too_long_ends_the_leader(
    api: KubeApi, namespace: str, operator: Operator, control_plane: ControlPlane
) -> None:
    """It cannot know whether it still leads; started again, it waits as a standby."""
    operator.start()
    operator.wait_role("leader")
    control_plane.stop_apiserver()
    try:
        assert operator.end(seconds=15) == 3
        operator.start()
        operator.wait("a standby", lambda: operator.get("/healthz")[0] == 200)
    finally:
        control_plane.start_apiserver()
    operator.wait_role("leader")


def test_a_kind_installed_later_is_noticed(
    api: KubeApi, namespace: str, operator: Operator
) -> None:
    """The Prometheus operator comes after us: every ModelRunner is looked at again."""
    api.create(runner(namespace))
    operator.start()
    operator.wait_role("leader")
    operator.wait("runner", lambda: reconciled(operator, "ModelRunner", namespace, "default") > 0)
    quiet(operator)
    before = reconciled(operator, "ModelRunner", namespace, "default")
    group = "monitoring.coreos.com"
    names = {"plural": "servicemonitors", "kind": "ServiceMonitor", "singular": "servicemonitor"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    definition: dict[str, Any] = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"servicemonitors.{group}"},
        "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [version]},
    }
    api.create(definition)
    try:
        operator.wait(
            "another look",
            lambda: reconciled(operator, "ModelRunner", namespace, "default") > before,
        )
    finally:
        api.delete(definition["apiVersion"], definition["kind"], f"servicemonitors.{group}")


def test_the_rights_it_says_it_needs_are_enough(
    api: KubeApi, namespace: str, operator: Operator, control_plane: ControlPlane, tmp_path: Path
) -> None:
    """With watchNamespaces it needs Roles only: nothing of the cluster, no Secrets."""
    api.create(model(namespace, "m"))
    rules = [
        rule("coordination.k8s.io", "leases", "get create update"),
        rule("modelrunner.dev", "models modelrunners", "get list watch"),
        rule("apps", "deployments", "get list watch create patch delete"),
        rule("batch", "jobs", "get list watch create patch delete"),
        rule("", "services", "get list watch create patch delete"),
        rule("", "persistentvolumeclaims", "get list watch create patch"),
        rule("", "pods", "get list watch"),
    ]
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
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/op/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    config = yaml.safe_load(control_plane.kubeconfig.read_text("utf-8"))
    config["users"][0]["user"] = {"token": api.request("POST", path, request)["status"]["token"]}
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config), "utf-8")
    operator.start(KUBECONFIG=str(file))
    operator.wait_role("leader")
    before = reconciled(operator, "Model", namespace, "m")
    api.merge({**model(namespace, "m"), "spec": {"aliases": ["another"]}})
    operator.wait("an event", lambda: reconciled(operator, "Model", namespace, "m") > before)
    operator.signal(signal.SIGTERM)
    assert operator.end() == 0
    assert "403" not in operator.log
    assert "orbidden" not in operator.log


def rule(group: str, resources: str, verbs: str) -> dict[str, Any]:
    """A rule of a Role."""
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}
