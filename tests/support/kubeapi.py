"""A small synchronous client for a test's own requests: the API server's REST, nothing hidden.

    with KubeApi.connect(plane.kubeconfig) as api:
        api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ml"}})

Objects are plain dicts. What the server refuses is raised as `Refused`, with its words.
"""

import base64
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

Object = dict[str, Any]

_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
_MANAGER = "tests"


class Refused(Exception):  # noqa: N818 - reads as what happened
    """The server's answer was not a success.

    Attributes:
        status: HTTP status.
        reason: Kubernetes' word for it, e.g. "Invalid".
        message: the server's sentence.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message = status, reason, message


@dataclass(slots=True)
class KubeApi:
    """Requests to one API server, as one user."""

    http: httpx.Client
    _plurals: dict[tuple[str, str], tuple[str, bool]] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def connect(cls, kubeconfig: Path) -> Iterator["KubeApi"]:
        """A client for the current context of a kubeconfig; closed at the end."""
        cluster, user = _current(kubeconfig)
        headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        with httpx.Client(
            base_url=cluster["server"], verify=_tls(cluster, user), headers=headers, timeout=30
        ) as http:
            yield cls(http)

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Object | None:
        """The object, or None when there is none."""
        try:
            return self.request("GET", self.path(api_version, kind, namespace, name))
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def list(
        self, api_version: str, kind: str, namespace: str = "", *, label_selector: str = ""
    ) -> list[Object]:
        """All objects of a kind, of one namespace or of all."""
        query = {"labelSelector": label_selector} if label_selector else {}
        found = self.request("GET", self.path(api_version, kind, namespace), query=query)
        items: list[Object] = found["items"]
        return items

    def table(self, api_version: str, kind: str, namespace: str = "") -> Object:
        """What `kubectl get` prints: a `meta.k8s.io/v1` Table."""
        return self.request("GET", self.path(api_version, kind, namespace), accept=_TABLE)

    def create(self, body: Object, *, manager: str = _MANAGER, **query: str) -> Object:
        """POST; `query` may hold dryRun="All" or fieldValidation="Strict"."""
        path = self._collection(body)
        return self.request("POST", path, body, query={"fieldManager": manager, **query})

    def apply(
        self,
        body: Object,
        *,
        manager: str = _MANAGER,
        force: bool = True,
        subresource: str = "",
        **query: str,
    ) -> Object:
        """Server-side apply."""
        path = f"{self._collection(body)}/{body['metadata']['name']}"
        query |= {"fieldManager": manager, "force": str(force).lower()}
        kind = "application/apply-patch+yaml"
        return self.request("PATCH", _below(path, subresource), body, query=query, kind=kind)

    def merge(self, body: Object, *, subresource: str = "", manager: str = _MANAGER) -> Object:
        """JSON merge patch; `body` names the object and holds what changes."""
        path = _below(f"{self._collection(body)}/{body['metadata']['name']}", subresource)
        kind = "application/merge-patch+json"
        return self.request("PATCH", path, body, query={"fieldManager": manager}, kind=kind)

    def delete(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str = "",
        *,
        propagation: str = "Background",
    ) -> None:
        """Delete it; nothing happens when there is none."""
        path = self.path(api_version, kind, namespace, name)
        try:
            self.request("DELETE", path, query={"propagationPolicy": propagation})
        except Refused as refused:
            if refused.status != 404:
                raise

    def path(self, api_version: str, kind: str, namespace: str = "", name: str = "") -> str:
        """The URL path of an object or a collection, by discovery."""
        plural, namespaced = self._plural(api_version, kind)
        root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
        scope = f"/namespaces/{namespace}" if namespaced and namespace else ""
        return f"{root}{scope}/{plural}" + (f"/{name}" if name else "")

    def request(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        query: Mapping[str, str] | None = None,
        kind: str = "application/json",
        accept: str = "application/json",
    ) -> Object:
        """One request as it is.

        Raises:
            Refused: the answer was not a success.
        """
        headers = {"Accept": accept, "Content-Type": kind}
        answer = self.http.request(method, path, json=body, params=query, headers=headers)
        try:
            found: Object = answer.json()
        except ValueError:
            found = {"reason": "", "message": answer.text}
        if not answer.is_success:
            raise Refused(answer.status_code, found.get("reason", ""), found.get("message", ""))
        return found

    def _collection(self, body: Object) -> str:
        namespace = body["metadata"].get("namespace", "")
        return self.path(body["apiVersion"], body["kind"], namespace)

    def _plural(self, api_version: str, kind: str) -> tuple[str, bool]:
        if (api_version, kind) not in self._plurals:
            root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
            for resource in self.request("GET", root)["resources"]:
                if "/" not in resource["name"]:
                    key = (api_version, resource["kind"])
                    self._plurals[key] = (resource["name"], resource["namespaced"])
        return self._plurals[api_version, kind]


def _below(path: str, subresource: str) -> str:
    return f"{path}/{subresource}" if subresource else path


def _current(kubeconfig: Path) -> tuple[Object, Object]:
    """The cluster and the user of the current context."""
    config = yaml.safe_load(kubeconfig.read_text("utf-8"))
    context = _named(config["contexts"], config["current-context"])["context"]
    cluster = _named(config["clusters"], context["cluster"])["cluster"]
    return cluster, _named(config["users"], context["user"])["user"]


def _named(items: list[Object], name: str) -> Object:
    return next(item for item in items if item["name"] == name)


def _tls(cluster: Object, user: Object) -> ssl.SSLContext:
    authority = _content(cluster, "certificate-authority")
    context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    certificate, key = _content(user, "client-certificate"), _content(user, "client-key")
    if certificate and key:
        # The standard library reads a client's certificate from files only.
        with tempfile.NamedTemporaryFile() as file:
            file.write(certificate + b"\n" + key)
            file.flush()
            context.load_cert_chain(file.name)
    return context


def _content(section: Object, name: str) -> bytes | None:
    if data := section.get(f"{name}-data"):
        return base64.b64decode(data)
    return Path(section[name]).read_bytes() if name in section else None
