"""An API server in memory, for code that needs few verbs and much time."""

import copy
from collections.abc import Mapping
from typing import Any

from modelrunner.kube.client import KubeClient
from modelrunner.kube.errors import AlreadyExists, Conflict, NotFound
from modelrunner.kube.objects import KubeObject
from modelrunner.kube.resources import Resource


class FakeClient(KubeClient):
    """Keeps objects with resourceVersions; `failing` is raised by every call while it is set."""

    def __init__(self) -> None:
        self.objects: dict[tuple[Resource, str | None, str], KubeObject] = {}
        self.failing: Exception | None = None
        self.requests: list[tuple[str, str]] = []
        self._version = 0

    async def get(self, resource: Resource, namespace: str | None, name: str) -> KubeObject | None:
        """A copy of the object."""
        self._asked("get", name)
        return copy.deepcopy(self.objects.get((resource, namespace, name)))

    async def create(
        self,
        resource: Resource,
        namespace: str | None,
        body: Mapping[str, Any],
        *,
        field_manager: str,
    ) -> KubeObject:
        """Store it, once."""
        assert field_manager
        name = body["metadata"]["name"]
        self._asked("create", name)
        if (resource, namespace, name) in self.objects:
            raise AlreadyExists(409, "AlreadyExists", name)
        return self._stored(resource, namespace, name, body)

    async def update(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Mapping[str, Any],
        *,
        field_manager: str,
    ) -> KubeObject:
        """Store it if its resourceVersion is the stored one."""
        assert field_manager
        self._asked("update", name)
        known = self.objects.get((resource, namespace, name))
        if known is None:
            raise NotFound(404, "NotFound", name)
        given = body["metadata"].get("resourceVersion")
        if given != known["metadata"]["resourceVersion"]:
            raise Conflict(409, "Conflict", f"{given} is old")
        return self._stored(resource, namespace, name, body)

    async def merge_patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        patch: Mapping[str, Any],
        *,
        field_manager: str,
    ) -> KubeObject:
        """Merge the top level."""
        assert field_manager
        self._asked("patch", name)
        known = self.objects.get((resource, namespace, name))
        if known is None:
            raise NotFound(404, "NotFound", name)
        return self._stored(resource, namespace, name, {**known, **patch})

    def _asked(self, verb: str, name: str) -> None:
        self.requests.append((verb, name))
        if self.failing is not None:
            raise self.failing

    def _stored(
        self, resource: Resource, namespace: str | None, name: str, body: Mapping[str, Any]
    ) -> KubeObject:
        self._version += 1
        kept = copy.deepcopy(dict(body))
        kept["metadata"] = {**kept["metadata"], "resourceVersion": str(self._version)}
        self.objects[resource, namespace, name] = kept
        return copy.deepcopy(kept)
