"""The custom resources that tests and the demo apply."""

from typing import Any

API_VERSION = "modelrunner.dev/v1alpha1"
Manifest = dict[str, Any]

# What a 135M model needs; small enough that a dozen models fit on a test machine.
SMALL: Manifest = {
    "requests": {"cpu": "50m", "memory": "128Mi"},
    "limits": {"memory": "1Gi"},
}


def namespace(name: str) -> Manifest:
    """A namespace that refuses every pod outside the restricted Pod Security Standard."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def runner(namespace: str, name: str = "default", **spec: Any) -> Manifest:
    """A ModelRunner with small resources; `spec` adds to it or replaces its fields."""
    return {
        "apiVersion": API_VERSION,
        "kind": "ModelRunner",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"resources": SMALL, **spec},
    }


def model(namespace: str, name: str, source: Manifest, **spec: Any) -> Manifest:
    """A Model; one thread keeps tests beside each other from starving one another."""
    config = {"contextSize": 2048, "runtimeFlags": ["--threads", "1"], **spec.pop("config", {})}
    return {
        "apiVersion": API_VERSION,
        "kind": "Model",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"source": source, "config": config, **spec},
    }


# What the restricted Pod Security Standard asks of a container that a test adds.
RESTRICTED: Manifest = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def claim(namespace: str, name: str, size: str = "1Gi") -> Manifest:
    """A PersistentVolumeClaim of the default storage class."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}},
    }


def pod(
    namespace: str, name: str, image: str, command: list[str], claims: dict[str, str]
) -> Manifest:
    """A pod that runs one command to its end; `claims` maps mount paths to claims."""
    volumes = [
        {"name": f"v{i}", "persistentVolumeClaim": {"claimName": one}}
        for i, one in enumerate(claims.values())
    ]
    mounts = [{"name": f"v{i}", "mountPath": path} for i, path in enumerate(claims)]
    container = {"name": "main", "image": image, "command": command, "volumeMounts": mounts}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "containers": [container | {"securityContext": RESTRICTED}],
            "volumes": volumes,
        },
    }
