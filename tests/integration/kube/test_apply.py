"""needs_apply on what a real API server makes of real manifests: no write at rest."""

import copy
from typing import Any

import pytest

from modelrunner.kube.apply import ApplyMemo, needs_apply
from modelrunner.kube.client import KubeClient
from modelrunner.kube.objects import KubeObject
from modelrunner.kube.resources import CLAIMS, DEPLOYMENTS, JOBS, SERVICES, Resource

pytestmark = pytest.mark.control_plane

LABELS = {"app.kubernetes.io/managed-by": "model-runner-operator", "modelrunner.dev/model": "m"}
# Of a kind that nobody serves: the garbage collector would look for a Model, find none, and
# delete what it owns in the midst of a test.
OWNER = {
    "apiVersion": "owners.example/v1",
    "kind": "Owner",
    "name": "m",
    "uid": "7b0dbf0c-0000-4000-8000-000000000000",
    "controller": False,
    "blockOwnerDeletion": False,
}
# As rich as what the operator renders, and written in every way the server rewrites.
POD: dict[str, Any] = {
    "automountServiceAccountToken": False,
    "enableServiceLinks": False,
    "hostNetwork": False,
    "terminationGracePeriodSeconds": 135,
    "nodeSelector": {},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {},
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": LABELS},
        }
    ],
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
    "imagePullSecrets": [],
    "initContainers": [],
    "containers": [
        {
            "name": "runner",
            "image": "localhost/model-runner:test",
            "imagePullPolicy": "IfNotPresent",
            "args": ["run"],
            "env": [
                {"name": "EMPTY", "value": ""},
                {"name": "RUNNERD_CONFIG", "value": '{"a": 1}'},
                {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {
                    "name": "CPUS",
                    "valueFrom": {
                        "resourceFieldRef": {"resource": "limits.cpu", "divisor": "1000m"}
                    },
                },
            ],
            "ports": [{"name": "http", "containerPort": 8080}],
            "resources": {
                "requests": {"cpu": "1000m", "memory": "1024Mi", "ephemeral-storage": "0.5Gi"},
                "limits": {"cpu": 2, "memory": "2Gi", "nvidia.com/gpu": 1},
            },
            "startupProbe": {
                "httpGet": {"path": "/healthz", "port": "http"},
                "initialDelaySeconds": 0,
                "periodSeconds": 1,
                "failureThreshold": 30,
            },
            "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "privileged": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": [
                {"name": "cache", "mountPath": "/models", "readOnly": True},
                {"name": "tmp", "mountPath": "/tmp", "readOnly": False},
            ],
        }
    ],
    "volumes": [
        {"name": "cache", "persistentVolumeClaim": {"claimName": "c", "readOnly": False}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2048Mi"}},
    ],
}
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "m", "labels": LABELS, "annotations": {}, "ownerReferences": [OWNER]},
    "spec": {
        "selector": {"matchLabels": LABELS},
        "minReadySeconds": 0,
        "progressDeadlineSeconds": 1860,
        "revisionHistoryLimit": 2,
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
        },
        "template": {"metadata": {"labels": LABELS, "annotations": {}}, "spec": POD},
    },
}
SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "m", "labels": LABELS},
    "spec": {
        "selector": LABELS,
        "publishNotReadyAddresses": False,
        "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
    },
}
CLAIM: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "m", "labels": LABELS},
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1610612736"}},
    },
}
JOB: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "m", "labels": LABELS},
    "spec": {
        "backoffLimit": 0,
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {**POD, "restartPolicy": "Never"},
        },
    },
}
KINDS = [(DEPLOYMENTS, DEPLOYMENT), (SERVICES, SERVICE), (CLAIMS, CLAIM), (JOBS, JOB)]


async def applied(
    client: KubeClient, resource: Resource, namespace: str, desired: dict[str, Any]
) -> KubeObject:
    """Apply it and read it back."""
    await client.apply(resource, namespace, "m", desired, field_manager="m")
    found = await client.get(resource, namespace, "m")
    assert found is not None
    return found


@pytest.mark.parametrize(("resource", "desired"), KINDS, ids=[kind.kind for kind, _ in KINDS])
async def test_what_the_server_made_of_a_manifest_needs_no_apply(
    client: KubeClient, namespace: str, resource: Resource, desired: dict[str, Any]
) -> None:
    """Even by a process that remembers nothing: an operator's restart writes nothing."""
    observed = await applied(client, resource, namespace, desired)
    assert not needs_apply(desired, observed, ApplyMemo())
    again = await client.apply(resource, namespace, "m", desired, field_manager="m")
    assert (
        again["metadata"]["generation" if "generation" in again["metadata"] else "uid"]
        == (observed["metadata"]["generation" if "generation" in again["metadata"] else "uid"])
    )


async def test_an_edit_by_hand_needs_an_apply_and_is_mended(
    client: KubeClient, namespace: str
) -> None:
    """Somebody changes the image with kubectl."""
    await applied(client, DEPLOYMENTS, namespace, DEPLOYMENT)
    edit = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "evil"}]
    edited = await client.json_patch(DEPLOYMENTS, namespace, "m", edit, field_manager="human")
    assert needs_apply(DEPLOYMENT, edited, ApplyMemo())
    mended = await applied(client, DEPLOYMENTS, namespace, DEPLOYMENT)
    assert not needs_apply(DEPLOYMENT, mended, ApplyMemo())


async def test_a_field_that_is_wanted_no_longer_is_removed(
    client: KubeClient, namespace: str
) -> None:
    """needs_apply notices it, and the server removes what we owned."""
    memo = ApplyMemo()
    observed = await applied(client, SERVICES, namespace, SERVICE)
    assert not needs_apply(SERVICE, observed, memo)
    less = copy.deepcopy(SERVICE)
    del less["metadata"]["labels"]["modelrunner.dev/model"]
    assert needs_apply(less, observed, memo)
    live = await applied(client, SERVICES, namespace, less)
    assert "modelrunner.dev/model" not in live["metadata"]["labels"]
    memo.applied(less, live)
    assert not needs_apply(less, live, memo)
