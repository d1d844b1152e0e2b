"""The route table follows the real API server: Models, EndpointSlices, namespaces, rights."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelrunner.domain.conditions import merge, not_ready, stalled
from modelrunner.kube.errors import Gone
from modelrunner.kube.resources import MODELS, SECRETS
from modelrunner.kube.watch import Watch
from modelrunner.render import serving
from modelrunner.render.common import Owner
from modelrunner_protocol.reasons import Reason
from tests.cluster.control_plane import ControlPlane
from tests.integration.gateway_table.conftest import Feeding
from tests.integration.gateway_table.worlds import API, World, asleep, hosts
from tests.support.accounts import token_of
from tests.support.kubeapi import KubeApi, Object
from tests.support.table_objects import endpoint
from tests.unit.modelrunner.domain.settings_of import settings_of

pytestmark = pytest.mark.control_plane


async def test_a_model_comes_changes_and_goes(feeding: Feeding, namespace: str) -> None:
    """What was there is listed, what happens then is followed, by every name."""
    first = await feeding(namespace)
    first.put_model(namespace, "old", aliases=["gpt-4o"])
    entry = await first.find("gpt-4o")
    assert entry.path == f"{namespace}/old"
    second = await feeding(namespace)
    assert second.paths() == [f"{namespace}/old"]
    for world in (first, second):
        world.put_model(namespace, "old", aliases=["ai/smollm2:Q4"], config={"mode": "embedding"})
        found = await world.find("docker.io/ai/SmolLM2:Q4")
        assert found.mode == "embedding"
        assert world.table.find("gpt-4o") is None
    assert await first.find("old") is entry
    first.api.delete(API, "Model", "old", namespace)
    for world in (first, second):
        await world.until_paths()
    assert entry.gone


async def test_the_operators_words_are_understood(feeding: Feeding, namespace: str) -> None:
    """A status that went through the schema of the real CRD: asleep, stalled, mended."""
    world = await feeding(namespace)
    world.put_model(namespace, "m")
    entry = await world.find("m")
    assert entry.trouble
    assert (entry.trouble.hopeless, entry.asleep) == (False, False)
    world.put_status(namespace, "m", asleep() | {"phase": "Idle", "engine": "llama.cpp"})
    await world.until("asleep", lambda: entry.asleep and not entry.trouble)
    assert (entry.phase, entry.engine) == ("Idle", "llama.cpp")
    why = (Reason.PULL_FAILED, "404: mend the URL")
    conditions = merge((), [not_ready(*why), stalled(*why)], generation=1, now=0)
    world.put_status(namespace, "m", {"conditions": conditions})
    await world.until("hopeless", lambda: entry.trouble and entry.trouble.hopeless)
    world.put_model(namespace, "m", aliases=["mended"])
    await world.until("hope", lambda: entry.trouble and not entry.trouble.hopeless)
    assert entry.trouble.message == "404: mend the URL"


async def test_the_older_model_has_the_name(feeding: Feeding, namespace: str) -> None:
    """By the API server's own times and the rule for equal ones; the heir is found at once."""
    world = await feeding(namespace)
    world.put_model(namespace, "a", aliases=["x"])
    world.put_model(namespace, "b", aliases=["x"])
    await world.find("b")
    assert (await world.find("x")).name == "a"
    world.api.delete(API, "Model", "a", namespace)
    await world.until("b", lambda: (found := world.table.find("x")) and found.name == "b")


async def test_slices_by_hand(feeding: Feeding, namespace: str) -> None:
    """Every state of a pod, both families, several slices, and strangers' slices."""
    world = await feeding(namespace)
    path = f"{namespace}/m"
    world.put_model(namespace, "m")
    entry = await world.find("m")
    world.put_slice(
        path,
        endpoint("198.18.0.1", pod="a"),
        endpoint("198.18.0.2", ready=False, pod="b"),
        endpoint("198.18.0.3", terminating=True, pod="c"),
        endpoint("198.18.0.4", ready=None, pod="d"),
        name="one",
    )
    expected: Any = (["198.18.0.1", "198.18.0.4"], ["198.18.0.2"])
    await world.until("three pods", lambda: hosts(entry) == expected)
    kept = entry.ready[0]
    world.put_slice(path, endpoint("fd00::5", pod="e"), name="two", family="IPv6")
    await world.until("IPv6", lambda: hosts(entry)[0] == [*expected[0], "fd00::5"])
    assert entry.ready[0] is kept
    stranger = {"app.kubernetes.io/managed-by": "somebody-else"}
    world.put_slice(path, endpoint("198.18.0.9"), name="three", labels=stranger)
    world.put_slice(path, endpoint("fd00::5", pod="e"), name="two", family="IPv6", labels=stranger)
    await world.until("the label has gone", lambda: hosts(entry) == expected)
    world.api.delete("discovery.k8s.io/v1", "EndpointSlice", "one", namespace)
    await world.until("nothing", lambda: hosts(entry) == ([], []))
    assert kept.retired


async def test_the_controllers_slices_carry_the_services_labels(
    feeding: Feeding, namespace: str
) -> None:
    """The operator's own Service, real controllers: its slices are ours without our doing."""
    world = await feeding(namespace)
    model = world.put_model(namespace, "m")
    service = serving.service(settings_of(), Owner("Model", "m", model["metadata"]["uid"]))
    service["metadata"]["namespace"] = namespace
    world.api.create(service)
    entry = await world.find("m")
    node = f"node-{namespace}"
    world.api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})
    try:
        world.api.create(pod(namespace, "one", node, service["spec"]["selector"]))
        put_pod_status(world, namespace, "one", "198.18.7.1", ready="False")
        await world.until("starting", lambda: hosts(entry) == ([], ["198.18.7.1"]))
        (found,) = entry.starting
        assert (found.name, found.address) == ("one", ("198.18.7.1", 8080))
        put_pod_status(world, namespace, "one", "198.18.7.1", ready="True")
        await world.until("ready", lambda: entry.ready == [found])
        # The kubelet that would end the pod is missing: it stays and is terminating.
        world.api.delete("v1", "Pod", "one", namespace)
        await world.until("leaving", lambda: hosts(entry) == ([], []))
        assert found.retired
    finally:
        world.api.delete("v1", "Node", node)


async def test_several_namespaces_with_rights_in_these_alone(
    feeding: Feeding, control_plane: ControlPlane, api: KubeApi, namespace: str, tmp_path: Path
) -> None:
    """Each is watched by itself, with no more than get, list and watch on two resources."""
    other, third = f"{namespace}-b", f"{namespace}-c"
    for name in (other, third):
        api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for name in (namespace, other):
        grant(api, name, account=namespace)
    world = await feeding(
        namespace, other, kubeconfig=account_file(control_plane, api, namespace, tmp_path)
    )
    for place in (namespace, other, third):
        world.put_model(place, "m")
        world.put_slice(f"{place}/m", endpoint("198.18.0.1", pod=place))
    expected = [f"{namespace}/m", f"{other}/m"]
    await world.until(
        "two models with a pod",
        lambda: [entry.path for entry in world.table.models() if entry.ready] == expected,
    )
    api.delete(API, "Model", "m", namespace)
    await world.until_paths(f"{other}/m")


async def test_bookmarks_carry_the_place_along(feeding: Feeding, namespace: str) -> None:
    """Streams end and begin again where nothing happened, without a list.

    This server sends one before it ends a stream, once etcd has told it that time went on. That it
    does by itself only now and then, and whenever somebody lists what has to be new.
    """
    world = await feeding(namespace, stream=6.0)
    models = next(one for one in world.feed.watches if one.resource == MODELS)
    for number in range(2):
        seen = models.counts.bookmarks
        world.api.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "time", "namespace": namespace},
                "data": {"it": f"went on {number} times"},
            }
        )
        assert world.api.list(API, "Model", namespace) == []
        await world.until("a bookmark", partial(_more, models, seen), seconds=180)
    world.put_model(namespace, "m")
    await world.find("m")
    assert models.counts.events == 1
    assert (models.counts.lists, models.counts.failures) == (1, 0)


def _more(watch: Watch, seen: int) -> bool:
    """Whether a bookmark has come since."""
    return watch.counts.bookmarks > seen


async def test_a_version_that_is_too_old_is_gone(feeding: Feeding, namespace: str) -> None:
    """What this server says to a watch from the beginning of time."""
    world = await feeding(namespace)
    world.put_model(namespace, "m")
    await world.find("m")
    with pytest.raises(Gone):
        async with world.client.watch(MODELS, namespace, resource_version="1") as events:
            await anext(events)


async def test_secrets_are_watched_by_their_label(feeding: Feeding, namespace: str) -> None:
    """An object that loses the label is gone, although it is still there."""
    world = await feeding(namespace)
    label, seen = "modelrunner.dev/api-key", dict[str, Object]()

    class Keys:
        """A sink by name."""

        def replace(self, items: Any) -> None:
            """All of them."""
            seen.clear()
            for item in items:
                self.put(item)

        def put(self, item: Object) -> None:
            """One is there."""
            seen[item["metadata"]["name"]] = item["stringData" if "stringData" in item else "data"]

        def drop(self, item: Object) -> None:
            """One is gone."""
            del seen[item["metadata"]["name"]]

    def put(name: str, value: str | None) -> None:
        labels = {} if value is None else {label: value}
        meta = {"name": name, "namespace": namespace, "labels": labels}
        world.api.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {"a": "eA=="}}
        )

    put("key", "true")
    put("other", None)
    watch = Watch(
        world.client, SECRETS, Keys(), namespace=namespace, label_selector=f"{label}=true"
    )
    task = asyncio.create_task(watch.run())
    await world.until("the key", lambda: seen == {"key": {"a": "eA=="}})
    put("late", "true")
    await world.until("a second key", lambda: set(seen) == {"key", "late"})
    put("key", None)
    await world.until("the first is none", lambda: set(seen) == {"late"})
    world.api.delete("v1", "Secret", "late", namespace)
    await world.until("none is left", lambda: not seen)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def pod(namespace: str, name: str, node: str, labels: dict[str, str]) -> Object:
    """A runner pod on a node that is only an object."""
    container = {"name": "c", "image": "x", "ports": [{"name": "http", "containerPort": 8080}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"nodeName": node, "containers": [container]},
    }


def put_pod_status(world: World, namespace: str, name: str, address: str, *, ready: str) -> None:
    """What a kubelet would say."""
    since = "2026-07-01T00:00:00Z"
    status = {
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": since}],
    }
    metadata = {"name": name, "namespace": namespace}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": status}
    world.api.merge(body, subresource="status")


def grant(api: KubeApi, namespace: str, *, account: str) -> None:
    """The rights of a gateway in one namespace, for an account that lives in `account`."""
    verbs = ["get", "list", "watch"]
    rules = [
        {"apiGroups": ["modelrunner.dev"], "resources": ["models"], "verbs": verbs},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": verbs},
    ]
    group, meta = "rbac.authorization.k8s.io", {"name": "gateway", "namespace": namespace}
    if namespace == account:
        api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
    api.create({"apiVersion": f"{group}/v1", "kind": "Role", "metadata": meta, "rules": rules})
    api.create(
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "gateway"},
            "subjects": [{"kind": "ServiceAccount", "name": "gateway", "namespace": account}],
        }
    )


def account_file(plane: ControlPlane, api: KubeApi, namespace: str, folder: Path) -> Path:
    """A kubeconfig of that account."""
    config = yaml.safe_load(plane.kubeconfig.read_text("utf-8"))
    config["users"][0]["user"] = {"token": token_of(api, namespace, "gateway")}
    file = folder / "account"
    file.write_text(yaml.safe_dump(config), "utf-8")
    return file
