"""The chart before a real API server: strict validation, Pod Security, and what RBAC allows."""

from collections.abc import Iterator

import pytest
import yaml

from release.manifests import NAMESPACE, manifests
from tests.cluster.waiting import wait_until
from tests.contract.chart.conftest import EVERYTHING, pod_template, render, the
from tests.support.http_routes import serving_http_routes
from tests.support.kubeapi import KubeApi, Object, Refused
from tests.support.service_monitors import serving_service_monitors

pytestmark = pytest.mark.control_plane


def strictly(api: KubeApi, objects: list[Object]) -> None:
    """Have the server check each object without keeping it."""
    for one in objects:
        api.apply(one, dryRun="All", fieldValidation="Strict")


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("watchNamespaces={default}", "podDisruptionBudget.maxUnavailable=50%"),
        (
            "nodeSelector.pool=system",
            "tolerations[0].operator=Exists",
            "imagePullSecrets[0].name=registry",
            "resources.limits.cpu=2",
        ),
    ],
)
def test_strict_validation(api: KubeApi, namespace: str, settings: tuple[str, ...]) -> None:
    """The API server knows every field of every object, and accepts every value."""
    strictly(api, render(*settings, namespace=namespace))


def test_strict_validation_of_everything(api: KubeApi, namespace: str) -> None:
    """So are those that are off by default, those of the Gateway API and of Prometheus too."""
    with serving_http_routes(api), serving_service_monitors(api):
        strictly(api, render(*EVERYTHING, namespace=namespace))


def test_static_manifests_can_be_applied(api: KubeApi) -> None:
    """dist/ is accepted, in its own namespace."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    api.apply(body)
    for text in manifests().values():
        strictly(api, [one for one in yaml.safe_load_all(text) if one])


@pytest.mark.parametrize("part", ["operator", "gateway"])
def test_the_pod_is_admitted_where_only_restricted_pods_are(
    api: KubeApi, namespace: str, part: str
) -> None:
    """Pod Security admission takes the pods of both, and refuses them with one field less."""
    objects = render(namespace=namespace)
    api.apply(the(objects, "ServiceAccount", part))
    template = pod_template(objects, part)
    metadata = {"name": part, "namespace": namespace}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    api.create(body, dryRun="All", fieldValidation="Strict")
    del template["spec"]["securityContext"]["runAsNonRoot"]
    with pytest.raises(Refused, match="violates PodSecurity"):
        api.create(body, dryRun="All")


@pytest.fixture(scope="module")
def account(api: KubeApi, namespace: str) -> Iterator[str]:
    """The operator's user name, with the chart's rights in `default` and its own namespace."""
    settings = ("watchNamespaces={default}", "crds.install=false")
    kinds = {"ServiceAccount", "ClusterRole", "Role", "RoleBinding"}
    rendered = render(*settings, namespace=namespace)
    objects = [one for one in rendered if one["kind"] in kinds]
    for one in objects:
        api.apply(one)
    name = the(objects, "ServiceAccount")["metadata"]["name"]
    user = f"system:serviceaccount:{namespace}:{name}"

    def granted() -> bool:
        # In both namespaces; the API server reads roles by a watch.
        return allowed(api, user, "default", "watch modelrunner.dev/models") and allowed(
            api, user, namespace, "create coordination.k8s.io/leases"
        )

    wait_until("the account's rights", granted, seconds=120)
    yield user
    for one in objects:
        metadata = one["metadata"]
        api.delete(one["apiVersion"], one["kind"], metadata["name"], metadata.get("namespace", ""))


def allowed(api: KubeApi, user: str, namespace: str, right: str) -> bool:
    """Whether RBAC lets a user do `verb group/resource[/subresource][:name]`."""
    verb, _, rest = right.partition(" ")
    group, _, resource = rest.partition("/")
    resource, _, name = resource.partition(":")
    resource, _, subresource = resource.partition("/")
    attributes = {
        "namespace": namespace,
        "verb": verb,
        "group": group,
        "resource": resource,
        "subresource": subresource,
        "name": name,
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "metadata": {},
        "spec": {"user": user, "resourceAttributes": attributes},
    }
    answer = api.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
    found: bool = answer["status"]["allowed"]
    return found


@pytest.mark.parametrize(
    "right",
    [
        "watch modelrunner.dev/models",
        "patch modelrunner.dev/models/status",
        "patch modelrunner.dev/modelrunners/status",
        "create apps/deployments",
        "patch apps/deployments",
        "get apps/deployments/scale",
        "patch apps/deployments/scale",
        "delete batch/jobs",
        "create /persistentvolumeclaims",
        "delete /persistentvolumeclaims",
        "patch /services",
        "list /pods",
        "patch /pods",
        "create events.k8s.io/events",
        "list events.k8s.io/events",
        "create monitoring.coreos.com/servicemonitors",
    ],
)
def test_what_the_operator_may_do(api: KubeApi, account: str, namespace: str, right: str) -> None:
    """Where it serves it may do its work; the same in another namespace is denied."""
    assert allowed(api, account, "default", right)
    assert not allowed(api, account, "kube-system", right)


@pytest.mark.parametrize(
    "right",
    [
        "get /secrets",
        "list /secrets",
        "get /configmaps",
        "create /pods",
        "delete /pods",
        "delete apps/deployments",
        "delete /services",
        "create /pods/exec",
        "create /serviceaccounts/token",
        "update modelrunner.dev/models",
        "patch modelrunner.dev/models",
        "delete modelrunner.dev/models",
        "update apps/deployments/scale",
        "update /pods",
        "patch /pods/status",
        "patch /pods/ephemeralcontainers",
        "create /pods/eviction",
        "create rbac.authorization.k8s.io/rolebindings",
        "get coordination.k8s.io/leases:model-runner-operator",
    ],
)
def test_what_the_operator_may_not_do(api: KubeApi, account: str, right: str) -> None:
    """Everything else is denied, users' objects and Secrets before all."""
    assert not allowed(api, account, "default", right)


def test_the_lease_of_its_own_namespace(api: KubeApi, account: str, namespace: str) -> None:
    """It may make a Lease there, and change its own, but no other."""
    leases = "coordination.k8s.io/leases"
    assert allowed(api, account, namespace, f"create {leases}")
    assert allowed(api, account, namespace, f"update {leases}:model-runner-operator")
    assert not allowed(api, account, namespace, f"update {leases}:somebody-else")
    assert not allowed(api, account, namespace, f"delete {leases}:model-runner-operator")
