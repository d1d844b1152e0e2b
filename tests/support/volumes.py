"""A volume with a size that the kernel enforces, for tests of full volumes.

A provisioner of folders does not limit what is written. A tmpfs does: a privileged pod mounts
one on the node, and a PersistentVolume of type local points to it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.support import manifests
from tests.support.kubeapi import Object
from tests.support.stack import Stack

# Below the kubelet's folder, which every kind of node has and mounts shared.
_PARENT: Final = "/var/lib/kubelet/test-volumes"


@contextmanager
def small_volume(stack: Stack, namespace: str, name: str, *, mebibytes: int) -> Iterator[None]:
    """A claim of that name in `namespace`, bound to a tmpfs of `mebibytes` MiB."""
    unique = f"{namespace}-{name}"
    path = f"{_PARENT}/{unique}"
    options = f"size={mebibytes}m,mode=0777"
    _on_node(stack, unique, f"mkdir -p {path} && mount -t tmpfs -o {options} tmpfs {path}")
    stack.apply(_volume(stack, unique, path, mebibytes))
    claim = manifests.claim(namespace, name, f"{mebibytes}Mi")
    claim["spec"] |= {"volumeName": unique, "storageClassName": ""}
    stack.apply(claim)
    try:
        yield
    finally:
        stack.delete("persistentvolumeclaims", namespace, name)
        stack.delete("persistentvolumes", "", unique)
        _on_node(stack, unique, f"umount -l {path} && rmdir {path}")


def _volume(stack: Stack, name: str, path: str, mebibytes: int) -> Object:
    node = stack.objects("nodes")[0]["metadata"]["labels"]["kubernetes.io/hostname"]
    term = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": f"{mebibytes}Mi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": path},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [term]}]}},
        },
    }


def _on_node(stack: Stack, name: str, script: str) -> None:
    """Run a line of shell as root on the node, its mounts seen there."""
    body = manifests.pod("default", name, stack.images.runner, ["sh", "-c", script], {})
    spec = body["spec"]
    mount = {"name": "node", "mountPath": _PARENT, "mountPropagation": "Bidirectional"}
    spec["containers"][0] |= {
        "securityContext": {"privileged": True, "runAsUser": 0},
        "volumeMounts": [mount],
    }
    host_path = {"path": _PARENT, "type": "DirectoryOrCreate"}
    spec["volumes"] = [{"name": "node", "hostPath": host_path}]
    stack.run_pod(body)
