"""The client of the API server: raw JSON in and out, typed errors, a timeout on every call."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Literal, Self
from urllib.parse import urlencode

from kubernetes.aio.client.api_client import ApiClient
from prometheus_client import Counter

from modelrunner.domain.naming import FIELD_MANAGER
from modelrunner.kube.connection import connect
from modelrunner.kube.errors import Gone, NotFound, error_of
from modelrunner.kube.objects import KubeObject, merge_patch
from modelrunner.kube.resources import Resource
from modelrunner.kube.transport import JSON, Transport, decoded

Propagation = Literal["Background", "Foreground", "Orphan"]

_READS: Final = frozenset({"get", "list"})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All objects of a collection as of one `resource_version`."""

    items: list[KubeObject]
    resource_version: str


class KubeClient:
    """Requests to one API server. Use as an async context manager, or call `close`.

    `writes` counts every write that is sent, by labels `verb` (create, apply, patch, update,
    delete) and `resource`. `timeout` bounds each request in seconds.
    """

    def __init__(
        self, api: ApiClient, *, writes: Counter | None = None, timeout: float = 30.0
    ) -> None:
        self._transport = Transport(api, timeout=timeout)
        self._writes = writes

    @classmethod
    async def connected(
        cls,
        *,
        kubeconfig: str | None = None,
        context: str | None = None,
        user_agent: str = FIELD_MANAGER,
        writes: Counter | None = None,
        timeout: float = 30.0,
    ) -> Self:
        """A client from the pod's service account or a kubeconfig (see connection.connect)."""
        api = await connect(kubeconfig=kubeconfig, context=context, user_agent=user_agent)
        return cls(api, writes=writes, timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; calls in flight and later ones raise Unavailable."""
        await self._transport.close()

    async def get(self, resource: Resource, namespace: str | None, name: str) -> KubeObject | None:
        """The object as it is now, or None when there is none (404)."""
        try:
            return await self._call("get", "GET", resource, resource.path(namespace, name))
        except NotFound:
            return None

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
    ) -> list[KubeObject]:
        """All objects of a namespace (None: of the cluster), fetched in pages of `limit`."""
        found = await self.snapshot(
            resource,
            namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            limit=limit,
        )
        return found.items

    async def snapshot(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
    ) -> Snapshot:
        """As `list`, with the resourceVersion of the whole, one consistent state."""
        selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        query = {name: value for name, value in selectors.items() if value}
        try:
            return await self._snapshot(resource, namespace, query, limit)
        except Gone:
            # The pages took longer than etcd keeps a revision; one large answer cannot expire.
            return await self._snapshot(resource, namespace, query, 0)

    async def _snapshot(
        self, resource: Resource, namespace: str | None, selectors: Mapping[str, str], limit: int
    ) -> Snapshot:
        items: list[KubeObject] = []
        version = ""
        async for page in self._pages(resource, namespace, selectors, limit):
            version = str((page.get("metadata") or {}).get("resourceVersion") or version)
            for item in page.get("items") or []:
                # Items of a built-in list come without the two fields that say what they are.
                item.setdefault("apiVersion", resource.api_version)
                item.setdefault("kind", resource.kind)
                items.append(item)
        return Snapshot(items, version)

    async def _pages(
        self, resource: Resource, namespace: str | None, selectors: Mapping[str, str], limit: int
    ) -> AsyncIterator[KubeObject]:
        query = dict(selectors)
        if limit:
            query["limit"] = str(limit)
        while True:
            page = await self._call("list", "GET", resource, resource.path(namespace), query)
            yield page
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return
            query["continue"] = str(token)

    @asynccontextmanager
    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str = "",
        seconds: float = 290.0,
        idle: float = 90.0,
    ) -> AsyncIterator[AsyncIterator[tuple[str, KubeObject]]]:
        """What happens after `resource_version`: ADDED, MODIFIED, DELETED or BOOKMARK, and of what.

        The server ends it after `seconds`; bookmarks come about once a minute.

        Raises:
            Gone: on entering or later in the stream: the version is too old; list again.
            KubeError: refused on entering; cut off, or silent for more than `idle` seconds.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(max(1, round(seconds))),
        }
        if label_selector:
            query["labelSelector"] = label_selector
        path = f"{resource.path(namespace)}?{urlencode(query)}"
        async with self._transport.stream(path, idle=idle) as lines:
            yield _events(lines)

    async def create(
        self,
        resource: Resource,
        namespace: str | None,
        body: Mapping[str, Any],
        *,
        field_manager: str,
    ) -> KubeObject:
        """Create the object; returns it as stored.

        Raises:
            AlreadyExists: the name is taken.
        """
        query = {"fieldManager": field_manager}
        return await self._call(
            "create", "POST", resource, resource.path(namespace), query, body=body
        )

    async def apply(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Mapping[str, Any],
        *,
        field_manager: str,
        force: bool = True,
        strict: bool = False,
    ) -> KubeObject:
        """Server-side apply; returns the live object. An apply that changes nothing writes nothing.

        `strict`: a field that the server's schema does not know is an error, not left out.

        Raises:
            Conflict: without `force`, another manager owns a field.
        """
        query = {"fieldManager": field_manager, "force": "true" if force else "false"}
        if strict:
            query["fieldValidation"] = "Strict"
        path = resource.path(namespace, name)
        content = "application/apply-patch+yaml"
        return await self._call(
            "apply", "PATCH", resource, path, query, body=body, content_type=content
        )

    async def patch_status(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        status: Mapping[str, Any],
        *,
        previous: Mapping[str, Any] | None = None,
        resource_version: str | None = None,
    ) -> KubeObject:
        """Merge-patch the /status subresource; returns the live object.

        A merge patch keeps what it does not name: give the status it is computed against as
        `previous` and the fields that are gone are removed, and only differences are sent.

        Raises:
            Conflict: the object is no longer at `resource_version`.
        """
        body: dict[str, Any] = {
            "status": status if previous is None else merge_patch(previous, status)
        }
        if resource_version is not None:
            body["metadata"] = {"resourceVersion": resource_version}
        return await self._call(
            "patch",
            "PATCH",
            resource,
            resource.path(namespace, name, "status"),
            {"fieldManager": FIELD_MANAGER},
            body=body,
            content_type="application/merge-patch+json",
        )

    async def json_patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        operations: Sequence[Mapping[str, Any]],
        *,
        subresource: str = "",
        field_manager: str,
    ) -> KubeObject:
        """Apply JSON-patch operations (RFC 6902) in order, all or none; returns the live object.

        Raises:
            Invalid: an operation does not fit, a failed `test` included.
        """
        return await self._call(
            "patch",
            "PATCH",
            resource,
            resource.path(namespace, name, subresource),
            {"fieldManager": field_manager},
            body=list(operations),
            content_type="application/json-patch+json",
        )

    async def merge_patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        patch: Mapping[str, Any],
        *,
        field_manager: str,
    ) -> KubeObject:
        """Apply a JSON merge patch (RFC 7386; null removes); returns the live object."""
        return await self._call(
            "patch",
            "PATCH",
            resource,
            resource.path(namespace, name),
            {"fieldManager": field_manager},
            body=patch,
            content_type="application/merge-patch+json",
        )

    async def update(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Mapping[str, Any],
        *,
        field_manager: str,
    ) -> KubeObject:
        """Replace the whole object (PUT), guarded by the resourceVersion that `body` carries.

        Raises:
            Conflict: the object is at another resourceVersion.
        """
        query = {"fieldManager": field_manager}
        path = resource.path(namespace, name)
        return await self._call("update", "PUT", resource, path, query, body=body)

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        propagation: Propagation,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> None:
        """Ask for the object's deletion. That it is gone already is fine.

        Raises:
            Conflict: the object of this name has another `uid` or `resource_version`.
        """
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
        }
        given = {"uid": uid, "resourceVersion": resource_version}
        preconditions = {key: value for key, value in given.items() if value is not None}
        if preconditions:
            body["preconditions"] = preconditions
        try:
            await self._call(
                "delete", "DELETE", resource, resource.path(namespace, name), body=body
            )
        except NotFound:
            return

    async def has(self, resource: Resource) -> bool:
        """Whether the server serves this kind in this version now (discovery, one GET)."""
        try:
            served = await self._call("get", "GET", resource, resource.root)
        except NotFound:
            return False
        names = {entry.get("name") for entry in served.get("resources") or []}
        return resource.plural in names

    async def _call(
        self,
        verb: str,
        method: str,
        resource: Resource,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        content_type: str = JSON,
    ) -> KubeObject:
        url = f"{path}?{urlencode(query)}" if query else path
        self._transport.require_open(f"{method} {url}")
        if self._writes is not None and verb not in _READS:
            self._writes.labels(verb=verb, resource=resource.label).inc()
        return await self._transport.request(method, url, body=body, content_type=content_type)


async def _events(lines: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, KubeObject]]:
    async for line in lines:
        event = decoded(line)
        kind, found = str(event.get("type")), event.get("object")
        item = found if isinstance(found, dict) else {}
        if kind == "ERROR":
            code = item.get("code")
            raise error_of(code if isinstance(code, int) else 500, item)
        yield kind, item
