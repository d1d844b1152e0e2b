"""The API resources the operator reads or writes, and their paths on the server."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from modelrunner.domain.naming import GROUP


@dataclass(frozen=True, slots=True)
class Resource:
    """One served resource. `group` is empty for the core API."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` for the core API."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def label(self) -> str:
        """The name people use on the command line and in RBAC: `deployments.apps`, `pods`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def root(self) -> str:
        """Path of the group and version: `/apis/apps/v1`, `/api/v1`."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """Path of a collection (no `name`) or of an object, below the server's address.

        Without a namespace a namespaced collection spans the cluster.

        Raises:
            ValueError: an object of a namespaced resource is asked for without its namespace.
        """
        if name and self.namespaced and not namespace:
            raise ValueError(f"{self.kind} {name!r} needs a namespace")
        parts = [self.root]
        if self.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=""))
            if subresource:
                parts.append(subresource)
        return "/".join(parts)


MODELS: Final = Resource(GROUP, "v1alpha1", "models", "Model")
MODEL_RUNNERS: Final = Resource(GROUP, "v1alpha1", "modelrunners", "ModelRunner")
DEPLOYMENTS: Final = Resource("apps", "v1", "deployments", "Deployment")
PODS: Final = Resource("", "v1", "pods", "Pod")
JOBS: Final = Resource("batch", "v1", "jobs", "Job")
CLAIMS: Final = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
SERVICES: Final = Resource("", "v1", "services", "Service")
SERVICE_MONITORS: Final = Resource(
    "monitoring.coreos.com", "v1", "servicemonitors", "ServiceMonitor"
)
EVENTS: Final = Resource("events.k8s.io", "v1", "events", "Event")
ENDPOINT_SLICES: Final = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
SECRETS: Final = Resource("", "v1", "secrets", "Secret")
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases", "Lease")
NAMESPACES: Final = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
CRDS: Final = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
)
