"""The semantic comparison: what the API server rewrites is no difference, what people edit is."""

from typing import Any

import pytest

from modelrunner.kube.comparison import covers

SAME: list[tuple[str, Any, Any]] = [
    ("cpu in milli", {"limits": {"cpu": "1000m"}}, {"limits": {"cpu": "1"}}),
    ("memory in Mi", {"requests": {"memory": "1024Mi"}}, {"requests": {"memory": "1Gi"}}),
    ("cpu as a number", {"requests": {"cpu": 1}}, {"requests": {"cpu": "1"}}),
    ("fractions", {"requests": {"cpu": "0.5"}}, {"requests": {"cpu": "500m"}}),
    ("a size limit", {"emptyDir": {"sizeLimit": "2048Mi"}}, {"emptyDir": {"sizeLimit": "2Gi"}}),
    ("storage", {"storage": "1e3"}, {"storage": "1k"}),
    ("added defaults", {"spec": {"a": 1}}, {"spec": {"a": 1, "dnsPolicy": "ClusterFirst"}}),
    ("an empty map", {"nodeSelector": {}}, {}),
    ("an empty list", {"tolerations": []}, {}),
    ("null", {"affinity": None}, {}),
    ("null beside a value", {"affinity": None}, {"affinity": {"nodeAffinity": {}}}),
    ("an empty value", {"env": [{"name": "A", "value": ""}]}, {"env": [{"name": "A"}]}),
    ("false left out", {"hostNetwork": False}, {}),
    ("zero left out", {"initialDelaySeconds": 0}, {}),
    ("nested empties", {"securityContext": {"seLinuxOptions": {}}}, {}),
    ("a port as a string", {"targetPort": "8080"}, {"targetPort": 8080}),
    ("maxSurge", {"rollingUpdate": {"maxSurge": 0}}, {"rollingUpdate": {"maxSurge": 0}}),
    (
        "a sidecar injected",
        {"containers": [{"name": "runner", "image": "a"}]},
        {"containers": [{"name": "istio"}, {"name": "runner", "image": "a", "tty": True}]},
    ),
    (
        "env in another order",
        {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
        {"env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]},
    ),
    (
        "ports of containers",
        {"ports": [{"containerPort": 80, "name": "http"}]},
        {"ports": [{"containerPort": 80, "name": "http", "protocol": "TCP"}]},
    ),
    (
        "ports of a Service",
        {"ports": [{"port": 80, "targetPort": "http"}]},
        {"ports": [{"port": 80, "targetPort": "http", "protocol": "TCP", "nodePort": 31000}]},
    ),
    (
        "owners by uid",
        {"ownerReferences": [{"uid": "2", "kind": "Model"}]},
        {"ownerReferences": [{"uid": "1"}, {"uid": "2", "kind": "Model"}]},
    ),
    (
        "mounts by path",
        {"volumeMounts": [{"mountPath": "/m", "name": "cache", "readOnly": False}]},
        {"volumeMounts": [{"mountPath": "/m", "name": "cache"}]},
    ),
    (
        "defaults inside a list that is one value",
        {"tolerations": [{"key": "gpu", "operator": "Exists"}]},
        {"tolerations": [{"key": "gpu", "operator": "Exists", "effect": ""}]},
    ),
    ("finalizers are a set", {"finalizers": ["b"]}, {"finalizers": ["a", "b"]}),
]

OTHER: list[tuple[str, Any, Any]] = [
    ("another image", {"image": "a:2"}, {"image": "a:1"}),
    ("another amount", {"limits": {"cpu": "2"}}, {"limits": {"cpu": "1"}}),
    ("an amount that is none", {"limits": {"cpu": "x"}}, {"limits": {"cpu": "1"}}),
    ("amounts elsewhere are text", {"value": "1000m"}, {"value": "1"}),
    ("a missing field", {"image": "a"}, {}),
    ("a missing map", {"nodeSelector": {"a": "b"}}, {}),
    ("true for false", {"readOnly": False}, {"readOnly": True}),
    ("1 is not true", {"replicas": 1}, {"replicas": True}),
    ("a list where a map was", {"a": {"b": 1}}, {"a": [1]}),
    ("text where a list was", {"args": ["a"]}, {"args": "a"}),
    ("a container gone", {"containers": [{"name": "runner"}]}, {"containers": [{"name": "x"}]}),
    ("arguments in another order", {"args": ["a", "b"]}, {"args": ["b", "a"]}),
    ("an argument more", {"args": ["a"]}, {"args": ["a", "b"]}),
    (
        "an env value edited",
        {"env": [{"name": "A", "value": "1"}]},
        {"env": [{"name": "A", "value": "2"}]},
    ),
    (
        "another protocol",
        {"ports": [{"containerPort": 80}]},
        {"ports": [{"containerPort": 80, "protocol": "UDP"}]},
    ),
    ("a token mounted by default", {"automountServiceAccountToken": False}, {}),
    ("privilege escalation by default", {"allowPrivilegeEscalation": False}, {}),
    ("root", {"runAsUser": 0}, {}),
    ("no replicas", {"replicas": 0}, {}),
    ("the default class", {"storageClassName": ""}, {}),
    ("a toleration gone", {"tolerations": [{"key": "a"}]}, {"tolerations": []}),
    ("not a list of maps", {"env": ["A"]}, {"env": [{"name": "A"}]}),
    ("a finalizer gone", {"finalizers": ["a"]}, {"finalizers": []}),
]


@pytest.mark.parametrize(("what", "desired", "observed"), SAME, ids=[one[0] for one in SAME])
def test_what_the_server_rewrites_is_no_difference(what: str, desired: Any, observed: Any) -> None:
    """Each of these would otherwise be a write at every reconcile."""
    assert covers(observed, desired), what


@pytest.mark.parametrize(("what", "desired", "observed"), OTHER, ids=[one[0] for one in OTHER])
def test_what_somebody_changed_is_a_difference(what: str, desired: Any, observed: Any) -> None:
    """Each of these would otherwise be a drift that is never mended."""
    assert not covers(observed, desired), what
