"""The client of the API server: raw JSON in and out, typed errors, a timeout on every call."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Literal, Self
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.config import ConfigException
from prometheus_client import Counter

from modelrunner.domain.naming import FIELD_MANAGER
from modelrunner.kube.connection import connect
from modelrunner.kube.errors import Gone, Invalid, KubeError, NotFound, Unavailable, error_of
from modelrunner.kube.objects import KubeObject, merge_patch
from modelrunner.kube.resources import Resource

Propagation = Literal["Background", "Foreground", "Orphan"]

_READS: Final = frozenset({"get", "list"})
_JSON: Final = "application/json"
_LARGEST_ANSWER: Final = 64 * 1024 * 1024


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
        self._api = api
        self._closed = False
        self._writes = writes
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=min(timeout, 10.0))

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
        self._closed = True
        await self._api.close()  # type: ignore[no-untyped-call]  # the library has no types

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
        limit: int = 500,
    ) -> list[KubeObject]:
        """All objects of a namespace (None: of the cluster), fetched in pages of `limit`."""
        found = await self.snapshot(resource, namespace, label_selector=label_selector, limit=limit)
        return found.items

    async def snapshot(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        limit: int = 500,
    ) -> Snapshot:
        """As `list`, with the resourceVersion of the whole, one consistent state."""
        try:
            return await self._snapshot(resource, namespace, label_selector, limit)
        except Gone:
            # The pages took longer than etcd keeps a revision; one large answer cannot expire.
            return await self._snapshot(resource, namespace, label_selector, 0)

    async def _snapshot(
        self, resource: Resource, namespace: str | None, selector: str, limit: int
    ) -> Snapshot:
        items: list[KubeObject] = []
        version = ""
        async for page in self._pages(resource, namespace, selector, limit):
            version = str((page.get("metadata") or {}).get("resourceVersion") or version)
            for item in page.get("items") or []:
                # Items of a built-in list come without the two fields that say what they are.
                item.setdefault("apiVersion", resource.api_version)
                item.setdefault("kind", resource.kind)
                items.append(item)
        return Snapshot(items, version)

    async def _pages(
        self, resource: Resource, namespace: str | None, selector: str, limit: int
    ) -> AsyncIterator[KubeObject]:
        query: dict[str, str] = {}
        if selector:
            query["labelSelector"] = selector
        if limit:
            query["limit"] = str(limit)
        while True:
            page = await self._call("list", "GET", resource, resource.path(namespace), query)
            yield page
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return
            query["continue"] = str(token)

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
    ) -> KubeObject:
        """Server-side apply; returns the live object. An apply that changes nothing writes nothing.

        Raises:
            Conflict: without `force`, another manager owns a field.
        """
        query = {"fieldManager": field_manager, "force": "true" if force else "false"}
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
        content_type: str = _JSON,
    ) -> KubeObject:
        if self._closed:
            # The library would quietly open new connections.
            raise Unavailable(0, "Closed", f"{method} {path}: the client is closed")
        if self._writes is not None and verb not in _READS:
            self._writes.labels(verb=verb, resource=resource.label).inc()
        headers = {
            "Accept": _JSON,
            "Content-Type": content_type,
            "User-Agent": str(self._api.user_agent),
        }
        url = f"{path}?{urlencode(query)}" if query else path
        try:
            response, raw = await self._send(method, url, headers, body)
        except (aiohttp.ClientError, TimeoutError, OSError, ConfigException) as error:
            what = f"{method} {path}: {type(error).__name__}: {error}"
            raise Unavailable(0, "Unreachable", what) from error
        except (AssertionError, RuntimeError) as error:
            # How aiohttp says that its session was closed under a request.
            if not self._closed:
                raise
            raise Unavailable(0, "Closed", f"{method} {path}: the client is closed") from error
        if 200 <= response.status < 300:
            return _decoded(raw)
        try:
            told = _decoded(raw)
        except KubeError:
            told = {"message": raw[:500].decode(errors="replace")}
        raise error_of(response.status, told, response.headers.get("Retry-After"))

    async def _send(
        self, method: str, path: str, headers: dict[str, str], body: Any
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        # Refreshes a token that is about to expire.
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = f"{self._api.configuration.host}{path}"
        answer = await self._api.call_api(
            method, url, header_params=headers, body=body, _request_timeout=self._timeout
        )
        response: aiohttp.ClientResponse = answer.response
        async with response:
            return response, await _bounded(response)


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_chunked(1 << 20):
        size += len(part)
        if size > _LARGEST_ANSWER:
            raise Invalid(0, "TooLarge", f"an answer of more than {_LARGEST_ANSWER} bytes")
        parts.append(part)
    return b"".join(parts)


def _decoded(raw: bytes) -> KubeObject:
    try:
        found = json.loads(raw)
    except ValueError as error:
        raise Unavailable(0, "Unreadable", f"not JSON: {raw[:100]!r}") from error
    if not isinstance(found, dict):
        raise Unavailable(0, "Unreadable", f"not an object: {raw[:100]!r}")
    return found
