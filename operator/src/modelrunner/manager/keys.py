"""What is reconciled: one key per object a user wrote."""

from typing import NamedTuple, Self

from modelrunner.kube.objects import KubeObject, name_of, namespace_of
from modelrunner.kube.resources import Resource


class Key(NamedTuple):
    """An object to reconcile. `kind` is Model or ModelRunner."""

    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, resource: Resource, item: KubeObject) -> Self:
        """The key of an object of that resource."""
        return cls(resource.kind, namespace_of(item), name_of(item))

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"
