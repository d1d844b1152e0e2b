"""The client against a real API server: what a write does, and what a refusal becomes."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from modelrunner.kube.client import KubeClient
from modelrunner.kube.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound
from modelrunner.kube.resources import (
    CLAIMS,
    CRDS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    PODS,
    SERVICE_MONITORS,
    SERVICES,
    Resource,
)
from tests.cluster.control_plane import ControlPlane

pytestmark = pytest.mark.control_plane
CONFIGS = Resource("", "v1", "configmaps", "ConfigMap")


def deployment(name: str = "d", **spec: Any) -> dict[str, Any]:
    """A Deployment without replicas."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "c", "image": "x"}]},
            },
            **spec,
        },
    }


def config(name: str, **data: str) -> dict[str, Any]:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def version(item: dict[str, Any]) -> str:
    """Its resourceVersion."""
    return str(item["metadata"]["resourceVersion"])


async def test_apply_creates_changes_and_leaves_alone(client: KubeClient, namespace: str) -> None:
    """An apply that changes nothing is no write: the resourceVersion stays."""
    made = await client.apply(CONFIGS, namespace, "c", config("c", a="1"), field_manager="m")
    same = await client.apply(CONFIGS, namespace, "c", config("c", a="1"), field_manager="m")
    changed = await client.apply(CONFIGS, namespace, "c", config("c", b="2"), field_manager="m")
    assert version(made) == version(same) != version(changed)
    assert changed["data"] == {"b": "2"}


async def test_replicas_set_at_creation_survive_applies_without_them(
    client: KubeClient, namespace: str
) -> None:
    """POST with replicas under one manager, applies without under another (DESIGN §4)."""
    await client.create(
        DEPLOYMENTS, namespace, deployment(replicas=0), field_manager="operator-scale"
    )
    for image in ("x", "y"):
        body = deployment()
        body["spec"]["template"]["spec"]["containers"][0]["image"] = image
        live = await client.apply(DEPLOYMENTS, namespace, "d", body, field_manager="operator")
        assert live["spec"]["replicas"] == 0
    waking: list[dict[str, Any]] = [
        {"op": "test", "path": "/spec", "value": {}},
        {"op": "add", "path": "/spec/replicas", "value": 1},
    ]
    await client.json_patch(
        DEPLOYMENTS, namespace, "d", waking, subresource="scale", field_manager="gateway"
    )
    with pytest.raises(Invalid):
        await client.json_patch(
            DEPLOYMENTS, namespace, "d", waking, subresource="scale", field_manager="gateway"
        )
    live = await client.apply(DEPLOYMENTS, namespace, "d", deployment(), field_manager="operator")
    assert live["spec"]["replicas"] == 1


async def test_refusals_have_their_classes(client: KubeClient, namespace: str) -> None:
    """Taken names, old versions, foreign fields, wrong values, missing things."""
    made = await client.create(CONFIGS, namespace, config("c", a="1"), field_manager="m")
    with pytest.raises(AlreadyExists):
        await client.create(CONFIGS, namespace, config("c"), field_manager="m")
    await client.update(CONFIGS, namespace, "c", {**made, "data": {"a": "2"}}, field_manager="m")
    with pytest.raises(Conflict):
        await client.update(CONFIGS, namespace, "c", made, field_manager="m")
    with pytest.raises(Conflict):
        await client.apply(
            CONFIGS, namespace, "c", config("c", a="3"), field_manager="other", force=False
        )
    with pytest.raises(Invalid):
        await client.create(SERVICES, namespace, {"metadata": {"name": "s"}}, field_manager="m")
    with pytest.raises(NotFound):
        await client.create(CONFIGS, "no-such-namespace", config("c"), field_manager="m")
    with pytest.raises(Invalid, match="typed patch"):
        await client.apply(
            DEPLOYMENTS, namespace, "d", deployment(replicas="many"), field_manager="m"
        )
    assert await client.get(CONFIGS, namespace, "nothing") is None


async def test_preconditions_guard_deletions(client: KubeClient, namespace: str) -> None:
    """A successor of the same name is not deleted for its predecessor."""
    made = await client.create(CONFIGS, namespace, config("c"), field_manager="m")
    with pytest.raises(Conflict):
        await client.delete(
            CONFIGS,
            namespace,
            "c",
            propagation="Background",
            uid="00000000-0000-0000-0000-000000000000",
        )
    await client.delete(
        CONFIGS, namespace, "c", propagation="Background", uid=made["metadata"]["uid"]
    )
    assert await client.get(CONFIGS, namespace, "c") is None
    await client.delete(CONFIGS, namespace, "c", propagation="Background")


async def test_lists_go_through_pages_and_selectors(client: KubeClient, namespace: str) -> None:
    """Seven objects in pages of three; the items say what they are."""
    for number in range(7):
        body = config(f"c{number}")
        body["metadata"]["labels"] = {"odd": str(number % 2)}
        await client.create(CONFIGS, namespace, body, field_manager="m")
    found = await client.snapshot(CONFIGS, namespace, limit=3, label_selector="odd")
    assert sorted(item["metadata"]["name"] for item in found.items) == [f"c{n}" for n in range(7)]
    assert found.items[0]["kind"] == "ConfigMap"
    assert int(found.resource_version) >= max(int(version(item)) for item in found.items)
    assert len(await client.list(CONFIGS, namespace, label_selector="odd=1")) == 3


async def test_status_is_written_through_its_subresource(
    client: KubeClient, namespace: str
) -> None:
    """Only what differs, guarded by the version, and the spec untouched."""
    body = {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "x"}]},
    }
    made = await client.create(PODS, namespace, body, field_manager="m")
    live = await client.patch_status(PODS, namespace, "p", {"message": "hello", "reason": "R"})
    assert live["status"]["message"] == "hello"
    again = await client.patch_status(
        PODS, namespace, "p", {"message": "hello"}, previous=live["status"]
    )
    assert "reason" not in again["status"]
    assert again["metadata"]["generation"] == made["metadata"].get("generation")
    with pytest.raises(Conflict):
        await client.patch_status(PODS, namespace, "p", {}, resource_version=version(made))


async def test_discovery_knows_what_is_served(client: KubeClient) -> None:
    """Built-in kinds are there; the ServiceMonitor comes and goes with its CRD."""
    for resource in (DEPLOYMENTS, PODS, JOBS, CLAIMS, SERVICES, CRDS, NAMESPACES):
        assert await client.has(resource)
    assert not await client.has(SERVICE_MONITORS)


async def test_what_rbac_denies_is_forbidden(
    client: KubeClient, namespace: str, control_plane: ControlPlane, tmp_path: Path
) -> None:
    """A service account without rights is told so, by name."""
    accounts = Resource("", "v1", "serviceaccounts", "ServiceAccount")
    await client.create(accounts, namespace, {"metadata": {"name": "nobody"}}, field_manager="m")
    config_file = tmp_path / "kubeconfig"
    found = yaml.safe_load(control_plane.kubeconfig.read_text("utf-8"))
    found["users"][0]["user"] = {"token": await token(client, namespace, "nobody")}
    config_file.write_text(yaml.safe_dump(found), "utf-8")
    async with await KubeClient.connected(kubeconfig=str(config_file)) as nobody:
        with pytest.raises(Forbidden, match="nobody"):
            await nobody.list(PODS, namespace)
        assert await nobody.has(DEPLOYMENTS)


async def token(client: KubeClient, namespace: str, account: str) -> str:
    """A token of a service account (the TokenRequest subresource)."""
    tokens = Resource("", "v1", f"serviceaccounts/{account}/token", "TokenRequest")
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    made = await client.create(tokens, namespace, body, field_manager="tests")
    return str(made["status"]["token"])
