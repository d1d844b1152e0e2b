"""Which claims the operator's token can make, change and delete, tried on a real API server.

RBAC lets it do so with every claim of the namespaces that it serves; the chart's
ValidatingAdmissionPolicy holds it to caches.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from modelrunner.domain import naming
from modelrunner.domain.objects import uid_of
from modelrunner.kube.client import KubeClient
from modelrunner.kube.errors import Conflict
from modelrunner.kube.resources import CLAIMS
from modelrunner.render import claims
from tests.cluster.control_plane import ControlPlane
from tests.cluster.waiting import wait_until
from tests.contract.chart.conftest import rights_of, the
from tests.contract.chart.scales import MERGE, new_namespace
from tests.support.accounts import as_account, kubeconfig_of
from tests.support.kubeapi import KubeApi, Object, Refused
from tests.unit.modelrunner.domain.settings_of import settings_of
from tests.unit.modelrunner.render.rendered import ARTIFACT

pytestmark = pytest.mark.control_plane

_CLAIM: Final = ("v1", "PersistentVolumeClaim")
_APPLY: Final = "application/apply-patch+yaml"
_JSON_PATCH: Final = "application/json-patch+json"
_CACHE: Final = naming.base_labels(naming.COMPONENT_CACHE)
_NOT_ITS_OWN: Final = "the operator may change and delete only claims with the labels"
_NO_CACHE: Final = "the operator may make only claims with the labels"
_NO_CACHES: Final = [
    {},
    {naming.MANAGED_BY_LABEL: naming.MANAGED_BY},
    {naming.COMPONENT_LABEL: naming.COMPONENT_CACHE},
    {naming.MANAGED_BY_LABEL: naming.MANAGED_BY, naming.COMPONENT_LABEL: "database"},
    {naming.MANAGED_BY_LABEL: "Helm", naming.COMPONENT_LABEL: naming.COMPONENT_CACHE},
]
"""Labels of claims that are somebody else's."""


@pytest.fixture(scope="module")
def served(api: KubeApi) -> Iterator[str]:
    """The namespace whose Models the operators serve."""
    name = new_namespace(api)
    yield name
    api.delete("v1", "Namespace", name)


@pytest.fixture(scope="module")
def account(api: KubeApi, namespace: str, served: str) -> Iterator[str]:
    """The operator's account in a release in `namespace`."""
    with rights_of(api, namespace, f"watchNamespaces={{{served}}}") as objects:
        yield the(objects, "ServiceAccount")["metadata"]["name"]


@pytest.fixture(scope="module")
def operator(
    control_plane: ControlPlane, api: KubeApi, namespace: str, served: str, account: str
) -> Iterator[KubeApi]:
    """The operator, once the policy holds it: a new policy takes a moment to be enforced."""
    with as_account(control_plane, api, namespace, account) as client:
        path = path_of(client, stranger(api, served, {}))

        def enforced() -> bool:
            with suppress(Refused):
                client.request("DELETE", path, query={"dryRun": "All"})
                return False
            return _NOT_ITS_OWN in refusal(client, "DELETE", path).message

        wait_until("the policy is enforced", enforced, seconds=120)
        yield client


@pytest.fixture
async def client(
    control_plane: ControlPlane,
    api: KubeApi,
    namespace: str,
    account: str,
    operator: KubeApi,
    tmp_path: Path,
) -> AsyncIterator[KubeClient]:
    """The operator's own client with the operator's token."""
    file = kubeconfig_of(control_plane, api, namespace, account, tmp_path / "kubeconfig")
    async with await KubeClient.connected(kubeconfig=str(file)) as connected:
        yield connected


def cache(namespace: str) -> Object:
    """A claim as the operator makes it; each time that of another source.

    Without an owner: that of a Model which is not there would be taken away at any moment.
    """
    spec = {"source": {"http": {"url": f"http://files.example/{uuid4().hex}.gguf"}}}
    settings = replace(settings_of(spec), namespace=namespace)
    return claims.claim(settings, ARTIFACT, [], None, complete=False)


def stranger(api: KubeApi, namespace: str, labels: dict[str, str]) -> Object:
    """A claim that somebody else has made."""
    metadata = {"name": f"data-{uuid4().hex[:8]}", "namespace": namespace, "labels": labels}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    kind = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    return api.create({**kind, "metadata": metadata, "spec": spec})


def path_of(client: KubeApi, claim: Object) -> str:
    """URL path of a claim."""
    metadata = claim["metadata"]
    return client.path(*_CLAIM, metadata["namespace"], metadata["name"])


def refusal(
    client: KubeApi, method: str, path: str, body: Any = None, kind: str = MERGE
) -> Refused:
    """How the attempt is refused; it must be."""
    query = {"fieldManager": naming.FIELD_MANAGER, "force": "true"} if kind == _APPLY else {}
    with pytest.raises(Refused) as refused:
        client.request(method, path, body, query=query, kind=kind)
    assert (refused.value.status, refused.value.reason) == (403, "Forbidden")
    return refused.value


def gone(api: KubeApi, claim: Object) -> bool:
    """Whether it is deleted, or will be once no pod uses it."""
    metadata = claim["metadata"]
    found = api.get(*_CLAIM, metadata["name"], metadata["namespace"])
    return (
        found is None or uid_of(found) != uid_of(claim) or "deletionTimestamp" in found["metadata"]
    )


async def test_all_that_it_does_with_a_cache(client: KubeClient, api: KubeApi, served: str) -> None:
    """It makes one by an apply, applies it anew, notes that nobody uses it, and deletes it."""
    body = cache(served)
    place = (CLAIMS, served, body["metadata"]["name"])
    made = await client.apply(*place, body, field_manager=naming.FIELD_MANAGER)
    body["metadata"]["annotations"][naming.COMPLETE_ANNOTATION] = "true"
    live = await client.apply(*place, body, field_manager=naming.FIELD_MANAGER)
    assert uid_of(live) == uid_of(made)
    note = {naming.UNUSED_ANNOTATION: "2026-01-01T00:00:00Z"}
    patch = {"metadata": {"uid": uid_of(made), "annotations": note}}
    live = await client.merge_patch(*place, patch, field_manager=naming.UPKEEP_MANAGER)
    known: dict[str, str] = live["metadata"]["annotations"]
    assert known == known | note | {naming.COMPLETE_ANNOTATION: "true"}
    with pytest.raises(Conflict):
        await client.delete(*place, propagation="Background", uid="another")
    assert not gone(api, made)
    version = live["metadata"]["resourceVersion"]
    await client.delete(
        *place, propagation="Background", uid=uid_of(made), resource_version=version
    )
    assert gone(api, made)


@pytest.mark.parametrize("labels", _NO_CACHES)
def test_nobody_elses_claim_is_deleted_or_changed(
    operator: KubeApi, api: KubeApi, served: str, labels: dict[str, str]
) -> None:
    """Whatever it looks like; by no kind of patch, and not by giving it the labels first."""
    claim = stranger(api, served, labels)
    path = path_of(operator, claim)
    to_a_cache: Object = {"metadata": {"labels": _CACHE}}
    applied = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **to_a_cache}
    attempts: list[tuple[str, Any, str]] = [
        ("DELETE", None, MERGE),
        ("PATCH", {"metadata": {"annotations": {"a": "b"}}}, MERGE),
        ("PATCH", to_a_cache, MERGE),
        ("PATCH", to_a_cache, "application/strategic-merge-patch+json"),
        ("PATCH", applied, _APPLY),
        ("PATCH", [{"op": "add", "path": "/metadata/labels", "value": _CACHE}], _JSON_PATCH),
    ]
    for method, body, kind in attempts:
        message = refusal(operator, method, path, body, kind).message
        assert _NOT_ITS_OWN in message, kind
        assert "give it these labels" in message
    found = api.get(*_CLAIM, claim["metadata"]["name"], served)
    assert found is not None
    assert found["metadata"].get("labels", {}) == labels
    assert not gone(api, claim)


@pytest.mark.parametrize("labels", _NO_CACHES)
def test_it_makes_nothing_but_caches(
    operator: KubeApi, api: KubeApi, served: str, labels: dict[str, str]
) -> None:
    """Neither by a first apply nor by a create, with some of the labels or none."""
    body = cache(served)
    body["metadata"]["labels"] = labels
    for method, path, kind in (
        ("PATCH", path_of(operator, body), _APPLY),
        ("POST", operator.path(*_CLAIM, served), "application/json"),
    ):
        assert _NO_CACHE in refusal(operator, method, path, body, kind).message
    assert api.get(*_CLAIM, body["metadata"]["name"], served) is None


@pytest.mark.parametrize("label", [naming.MANAGED_BY_LABEL, naming.COMPONENT_LABEL])
def test_a_cache_keeps_its_labels(operator: KubeApi, api: KubeApi, served: str, label: str) -> None:
    """The operator cannot take one off; where somebody else did, it goes on once it is back."""
    body = cache(served)
    made = operator.apply(body)
    path = path_of(operator, body)
    for value in (None, "other"):
        change = {"metadata": {"labels": {label: value}}}
        assert _NO_CACHE in refusal(operator, "PATCH", path, change).message
    api.request("PATCH", path, {"metadata": {"labels": {label: None}}}, kind=MERGE)
    assert _NOT_ITS_OWN in refusal(operator, "PATCH", path, body, _APPLY).message
    assert _NOT_ITS_OWN in refusal(operator, "DELETE", path).message
    api.request("PATCH", path, {"metadata": {"labels": {label: _CACHE[label]}}}, kind=MERGE)
    operator.request("DELETE", path)
    assert gone(api, made)


def test_nobody_else_is_held(
    control_plane: ControlPlane, api: KubeApi, operator: KubeApi, served: str
) -> None:
    """Another release of the same name, and a person, do what RBAC lets them.

    The other release has no policy of its own: what holds it would be that of the first.
    """
    home = new_namespace(api)
    settings = (f"watchNamespaces={{{served}}}", "admissionPolicy.enabled=false")
    with rights_of(api, home, *settings) as objects:
        name = the(objects, "ServiceAccount")["metadata"]["name"]
        with as_account(control_plane, api, home, name) as other:
            for who in (other, api):
                claim = stranger(api, served, {})
                path = path_of(api, claim)
                for labels in (_CACHE, dict.fromkeys(_CACHE)):
                    who.request("PATCH", path, {"metadata": {"labels": labels}}, kind=MERGE)
                who.request("DELETE", path)
                assert gone(api, claim)
    path = path_of(api, stranger(api, served, {}))
    assert _NOT_ITS_OWN in refusal(operator, "DELETE", path).message
    api.delete("v1", "Namespace", home)
