"""What the gateway's token is good for, tried with the token on a real API server.

RBAC and the ValidatingAdmissionPolicy are those of the chart, in a release that serves one
namespace and asks for API keys. What RBAC denies is denied whatever the policy says, and what the
policy denies is tried with more rights than the chart gives too.
"""

from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from typing import Any, Final
from uuid import uuid4

import pytest

from modelrunner.domain import naming
from tests.cluster.control_plane import ControlPlane
from tests.cluster.waiting import wait_until
from tests.contract.chart.conftest import rights_of, the
from tests.contract.chart.scales import (
    MERGE,
    deployment,
    models,
    new_namespace,
    refusal,
    replicas_of,
    scale,
    scale_path,
)
from tests.support import manifests
from tests.support.accounts import as_account
from tests.support.kubeapi import KubeApi, Object, Refused

pytestmark = pytest.mark.control_plane

_JSON_PATCH: Final = "application/json-patch+json"
_APPLY: Final = "application/apply-patch+yaml"
_ONLY_MODELS: Final = "the gateway may scale only the Deployments of models"
_ONLY_WAKE: Final = "the gateway may scale from 0 to 1 only"


@pytest.fixture(scope="module")
def served(api: KubeApi) -> Iterator[str]:
    """The namespace whose models the gateway serves."""
    name = new_namespace(api)
    yield name
    api.delete("v1", "Namespace", name)


@pytest.fixture(scope="module")
def release(api: KubeApi, namespace: str, served: str) -> Iterator[list[Object]]:
    """The accounts, rights and policy of a release in `namespace`, in force."""
    settings = (f"watchNamespaces={{{served}}}", "gateway.apiKeys.enabled=true")
    with rights_of(api, namespace, *settings) as objects:
        yield objects


@pytest.fixture(scope="module")
def gateway(
    control_plane: ControlPlane, api: KubeApi, namespace: str, served: str, release: list[Object]
) -> Iterator[KubeApi]:
    """The gateway, once the policy holds it: a new policy takes a moment to be enforced."""
    account = the(release, "ServiceAccount", "gateway")["metadata"]["name"]
    with as_account(control_plane, api, namespace, account) as client:
        stranger = deployment(api, served, {"app": "stranger"}, replicas=0)

        def enforced() -> bool:
            with suppress(Refused):
                scale(client, served, stranger, 1, dry=True)
                return False
            return refusal(client, served, stranger, 1).message.endswith(_ONLY_MODELS)

        wait_until("the policy is enforced", enforced, seconds=120)
        yield client


@pytest.fixture
def with_more_rights(api: KubeApi, served: str, release: list[Object]) -> Iterator[None]:
    """The gateway's account may update scales, as a careless administrator could grant."""
    account = the(release, "ServiceAccount", "gateway")["metadata"]
    name = f"careless-{uuid4().hex[:8]}"
    role: Object = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": name, "namespace": served},
        "rules": [{"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["update"]}],
    }
    subject = {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}
    binding = role | {
        "kind": "RoleBinding",
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [subject],
    }
    binding.pop("rules")
    for one in (role, binding):
        api.apply(one)
    yield
    for one in (binding, role):
        api.delete(role["apiVersion"], one["kind"], name, served)


def test_it_wakes_a_model_and_only_once(gateway: KubeApi, api: KubeApi, served: str) -> None:
    """0→1 by the guarded patch; the second one to come finds it awake."""
    name = models(api, served, replicas=0)
    guarded: Any = [
        {"op": "test", "path": "/spec", "value": {}},
        {"op": "add", "path": "/spec/replicas", "value": 1},
    ]
    path = scale_path(served, name)
    gateway.request("PATCH", path, guarded, kind=_JSON_PATCH)
    assert replicas_of(api, served, name) == 1
    with pytest.raises(Refused) as refused:
        gateway.request("PATCH", path, guarded, kind=_JSON_PATCH)
    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("before", "after"), [(0, 2), (0, 100), (1, 0), (1, 2), (1, 5), (5, 1), (5, 0), (3, 4)]
)
def test_no_other_change_of_a_models_scale(
    gateway: KubeApi, api: KubeApi, served: str, before: int, after: int
) -> None:
    """Neither up from one, nor past one, nor down, whoever the Deployment belongs to."""
    name = models(api, served, before)
    refused = refusal(gateway, served, name, after)
    assert refused.status == 403
    assert refused.message.endswith(_ONLY_WAKE)
    assert replicas_of(api, served, name) == before


@pytest.mark.parametrize(
    "selector",
    [
        {"app": "stranger"},
        {"xmodelrunner.dev/model": "m", naming.MANAGED_BY_LABEL: naming.MANAGED_BY},
        {"modelrunner.dev/models": "m", naming.MANAGED_BY_LABEL: naming.MANAGED_BY},
        {"app": "m", naming.MANAGED_BY_LABEL: naming.MANAGED_BY},
        {"modelrunner.dev/model": "m"},
        {"modelrunner.dev/model": "m", naming.MANAGED_BY_LABEL: f"{naming.MANAGED_BY}-2"},
    ],
)
def test_no_strangers_deployment(
    gateway: KubeApi, api: KubeApi, served: str, selector: dict[str, str]
) -> None:
    """Not 0→1 either, however much its labels look like ours."""
    name = deployment(api, served, selector, replicas=0)
    refused = refusal(gateway, served, name, 1)
    assert refused.status == 403
    assert refused.message.endswith(_ONLY_MODELS)
    assert replicas_of(api, served, name) == 0


def test_labels_outside_the_selector_make_no_model(
    gateway: KubeApi, api: KubeApi, served: str
) -> None:
    """What anybody may write on a Deployment later does not count."""
    name = deployment(api, served, {"app": "stranger"}, replicas=0)
    labels = naming.pod_selector("m")
    metadata = {"name": name, "namespace": served, "labels": labels}
    api.merge(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {"template": {"metadata": {"labels": labels}}},
        }
    )
    assert refusal(gateway, served, name, 1).message.endswith(_ONLY_MODELS)


@pytest.mark.parametrize(
    "kind", [_JSON_PATCH, MERGE, _APPLY, "application/strategic-merge-patch+json"]
)
def test_every_kind_of_patch_is_held(
    gateway: KubeApi, api: KubeApi, served: str, kind: str
) -> None:
    """The policy sees what would be stored, not how it was asked for."""
    name = models(api, served, replicas=1)
    path = scale_path(served, name)
    body: Any = {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": name},
        "spec": {"replicas": 5},
    }
    query = {"fieldManager": "gateway", "force": "true"} if kind == _APPLY else {}
    if kind == _JSON_PATCH:
        body = [{"op": "replace", "path": "/spec/replicas", "value": 5}]
    with pytest.raises(Refused) as refused:
        gateway.request("PATCH", path, body, query=query, kind=kind)
    assert refused.value.status == 403
    assert refused.value.message.endswith(_ONLY_WAKE)
    assert replicas_of(api, served, name) == 1


def test_update_is_no_right_of_it(gateway: KubeApi, api: KubeApi, served: str) -> None:
    """RBAC gives patch alone."""
    path = scale_path(served, models(api, served, replicas=0))
    body = gateway.request("GET", path)
    body["spec"]["replicas"] = 1
    with pytest.raises(Refused, match='cannot update resource "deployments/scale"'):
        gateway.request("PUT", path, body)


@pytest.mark.parametrize(("ours", "before", "after"), [(True, 1, 5), (True, 1, 0), (False, 0, 1)])
def test_update_is_held_too(
    gateway: KubeApi,
    api: KubeApi,
    served: str,
    with_more_rights: None,
    ours: bool,
    before: int,
    after: int,
) -> None:
    """Even with the right to update, and with a forged selector in the Scale it sends."""
    name = (
        models(api, served, before)
        if ours
        else deployment(api, served, {"app": "stranger"}, before)
    )
    path = scale_path(served, name)
    body = gateway.request("GET", path)
    # The Deployment's controller writes its status meanwhile; this is no test of conflicts.
    del body["metadata"]["resourceVersion"]
    body["spec"]["replicas"] = after
    pairs = naming.pod_selector("m").items()
    body["status"]["selector"] = ",".join(f"{key}={value}" for key, value in pairs)

    def held() -> bool:
        # RBAC learns of the new role a moment later, and refuses in words of its own till then.
        with pytest.raises(Refused) as refused:
            gateway.request("PUT", path, body)
        return refused.value.message.endswith(_ONLY_WAKE if ours else _ONLY_MODELS)

    wait_until("the policy refuses", held, seconds=120)
    assert replicas_of(api, served, name) == before


def test_a_scale_carries_nothing_else_into_the_deployment(
    gateway: KubeApi, api: KubeApi, served: str
) -> None:
    """What else is in the patch that wakes is without effect on the Deployment."""
    name = models(api, served, replicas=0)
    before = api.get("apps/v1", "Deployment", name, served)
    assert before is not None
    body = {
        "metadata": {"labels": {"evil": "yes"}, "annotations": {"evil": "yes"}},
        "spec": {"replicas": 1, "template": {"spec": {"hostNetwork": True}}},
        "status": {"selector": "a=b"},
    }
    gateway.request("PATCH", scale_path(served, name), body, kind=MERGE)
    after = api.get("apps/v1", "Deployment", name, served)
    assert after is not None
    assert after["spec"] == before["spec"] | {"replicas": 1}
    assert "evil" not in str(after["metadata"].get("labels"))
    assert "evil" not in str(after["metadata"].get("annotations"))


@pytest.mark.parametrize("kind", [MERGE, _JSON_PATCH, _APPLY])
def test_deployments_themselves_are_closed(
    gateway: KubeApi, api: KubeApi, served: str, kind: str
) -> None:
    """It may neither read nor write one, its own model's included."""
    path = scale_path(served, models(api, served, replicas=0)).removesuffix("/scale")
    body: Any = {"metadata": {"labels": {"a": "b"}}, "spec": {"replicas": 1}}
    if kind == _JSON_PATCH:
        body = [{"op": "replace", "path": "/spec/replicas", "value": 1}]
    for method, content in (("PATCH", body), ("GET", None), ("DELETE", None)):
        with pytest.raises(Refused) as refused:
            gateway.request(method, path, content, query={"fieldManager": "x"}, kind=kind)
        assert refused.value.status == 403
    assert replicas_of(api, served, path.rsplit("/", 1)[1]) == 0


def test_nothing_is_woken_where_it_does_not_serve(gateway: KubeApi, api: KubeApi) -> None:
    """Another namespace's models are out of its reach: RBAC ends at the served ones."""
    elsewhere = new_namespace(api)
    name = models(api, elsewhere, replicas=0)
    refused = refusal(gateway, elsewhere, name, 1)
    assert (refused.status, refused.reason) == (403, "Forbidden")
    assert "cannot patch resource" in refused.message
    api.delete("v1", "Namespace", elsewhere)


def test_models_are_read_and_never_written(gateway: KubeApi, api: KubeApi, served: str) -> None:
    """It lists and gets Models; each way to write one, or its status, is denied."""
    source = {"http": {"url": "https://models.example.com/m.gguf"}}
    api.apply(manifests.model(served, "m", source))
    path = gateway.path(manifests.API_VERSION, "Model", served)
    assert [one["metadata"]["name"] for one in gateway.request("GET", path)["items"]] == ["m"]
    change = {"spec": {"aliases": ["x"]}, "status": {"phase": "Ready"}}
    for method, where in (
        ("PATCH", f"{path}/m"),
        ("PATCH", f"{path}/m/status"),
        ("DELETE", f"{path}/m"),
        ("POST", path),
    ):
        with pytest.raises(Refused) as refused:
            gateway.request(method, where, change, kind=MERGE)
        assert refused.value.status == 403, (method, where)


def test_secrets_are_read_at_home_alone(
    gateway: KubeApi, api: KubeApi, namespace: str, served: str
) -> None:
    """API keys live where the gateway does; those of the models' namespaces are closed to it."""
    body: Object = {"apiVersion": "v1", "kind": "Secret"}
    for place in (namespace, served):
        api.apply(body | {"metadata": {"name": "s", "namespace": place}})
    path = gateway.path("v1", "Secret", namespace)
    assert gateway.request("GET", f"{path}/s")["metadata"]["name"] == "s"
    for method, where in (
        ("GET", gateway.path("v1", "Secret", served)),
        ("GET", gateway.path("v1", "Secret", served, "s")),
        ("GET", gateway.path("v1", "Secret")),
        ("GET", gateway.path("v1", "Secret", "kube-system")),
        ("DELETE", f"{path}/s"),
        ("POST", path),
    ):
        content = body | {"metadata": {"name": "t"}} if method == "POST" else None
        with pytest.raises(Refused) as refused:
            gateway.request(method, where, content)
        assert refused.value.status == 403, (method, where)


def test_others_are_not_held(
    control_plane: ControlPlane,
    api: KubeApi,
    namespace: str,
    served: str,
    release: list[Object],
    gateway: KubeApi,
) -> None:
    """The policy is about the gateway: the operator, and a person, scale as RBAC lets them."""
    account = the(release, "ServiceAccount")["metadata"]["name"]
    with as_account(control_plane, api, namespace, account) as operator:
        name = models(api, served, replicas=0)
        for number in (3, 1, 0):
            scale(operator, served, name, number)
            assert replicas_of(api, served, name) == number
        scale(api, served, name, 7)
        assert replicas_of(api, served, name) == 7


def test_the_operator_annotates_a_pod(
    control_plane: ControlPlane, api: KubeApi, namespace: str, served: str, release: list[Object]
) -> None:
    """It says which pod goes first when a model is scaled down, by a patch."""
    account = the(release, "ServiceAccount")["metadata"]["name"]
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": served},
        "spec": {"containers": [{"name": "c", "image": "localhost/none:1"}]},
    }
    api.create(pod)
    cost = {"controller.kubernetes.io/pod-deletion-cost": "-1000"}
    with as_account(control_plane, api, namespace, account) as operator:
        metadata = pod["metadata"] | {"annotations": cost}
        found = operator.merge({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})
    assert found["metadata"]["annotations"] == cost
    api.delete("v1", "Pod", "p", served)


def test_there_is_nothing_else_it_may(gateway: KubeApi, namespace: str, served: str) -> None:
    """The API server's own list of its rights, where it lives, where it serves and elsewhere."""
    read = {"get", "list", "watch"}
    rights = {
        namespace: {("", "secrets"): read},
        served: {
            ("modelrunner.dev", "models"): read,
            ("discovery.k8s.io", "endpointslices"): read,
            ("apps", "deployments/scale"): {"get", "patch"},
        },
        "default": {},
    }
    assert {where: _rules(gateway, where) for where in rights} == rights


def _rules(client: KubeApi, namespace: str) -> dict[tuple[str, str], set[str]]:
    """Verbs by group and resource; without those that every service account has."""
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    found = client.request("POST", path, {"spec": {"namespace": namespace}})["status"]
    assert not found["incomplete"]
    common = {"authorization.k8s.io", "authentication.k8s.io", "certificates.k8s.io"}
    rights: dict[tuple[str, str], set[str]] = {}
    for rule in found["resourceRules"]:
        for what in product(set(rule["apiGroups"]) - common, rule["resources"]):
            # Several roles may give some each, in any order.
            rights.setdefault(what, set()).update(rule["verbs"])
    return rights
