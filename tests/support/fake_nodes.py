"""Nodes without kubelets, and volumes without disks: what a scheduler needs to place pods."""

from dataclasses import dataclass

from tests.support.kubeapi import KubeApi, Object

# Nobody tells of these nodes' health, so the controllers taint them.
TOLERATIONS: list[Object] = [{"operator": "Exists"}]


@dataclass(frozen=True)
class FakeNodes:
    """Nodes and volumes of one test; `name` is in all their names."""

    api: KubeApi
    name: str

    def add(self, letter: str, cpu: str) -> str:
        """A node with so much room; its name."""
        name = f"{self.name}-{letter}"
        labels = {"kubernetes.io/hostname": name, "test": self.name}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
        self.api.create(node)
        self.resize(name, cpu)
        return name

    def resize(self, name: str, cpu: str) -> None:
        """The node has so much room from now on."""
        room = {"cpu": cpu, "memory": "64Gi", "pods": "110"}
        self.api.merge(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": name},
                "status": {"capacity": room, "allocatable": room},
            },
            subresource="status",
        )

    def volume(self, letter: str, *modes: str) -> None:
        """A volume that a claim of the class `name` can have, from all nodes alike."""
        self.api.create(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": f"{self.name}-{letter}"},
                "spec": {
                    "accessModes": list(modes),
                    "capacity": {"storage": "10Gi"},
                    "storageClassName": self.name,
                    "persistentVolumeReclaimPolicy": "Retain",
                    "hostPath": {"path": "/nowhere"},
                },
            }
        )

    def claim(self, namespace: str, name: str, *modes: str) -> None:
        """A claim that a user makes."""
        self.api.create(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": name, "namespace": namespace},
                "spec": {
                    "accessModes": list(modes),
                    "storageClassName": self.name,
                    "resources": {"requests": {"storage": "1Gi"}},
                },
            }
        )

    def runner(self, cpu: str = "1", **more: Object) -> Object:
        """A ModelRunner's spec whose pods fit these nodes alone."""
        return {
            "resources": {"requests": {"cpu": cpu}},
            "scheduling": {"tolerations": TOLERATIONS, "nodeSelector": {"test": self.name}},
            "cache": {"storageClassName": self.name},
        } | more
