"""A gateway process with the rights that the chart gives it, and no more, does all its work."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelrunner.domain.naming import pod_selector
from tests.cluster.control_plane import ControlPlane
from tests.cluster.waiting import wait_until
from tests.contract.chart.conftest import render, the
from tests.integration.gateway.test_keys import make_key
from tests.integration.gateway.test_waking import ASLEEP, DEPLOYMENT, deployment
from tests.integration.gateway.worlds import MODEL, SECRET, SLICE, World
from tests.support.accounts import as_account, kubeconfig_of
from tests.support.gateway_process import GatewayProcess
from tests.support.kubeapi import KubeApi, Object, Refused
from tests.support.runner_process import RunnerProcess

pytestmark = pytest.mark.control_plane

_KINDS = (
    *("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
    *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
)


@pytest.fixture(params=["one namespace", "all namespaces"])
def release(request: pytest.FixtureRequest, world: World) -> Iterator[list[Object]]:
    """A release in the world's namespace that asks for keys, its policy in force."""
    settings = ["gateway.apiKeys.enabled=true", "crds.install=false"]
    if request.param == "one namespace":
        settings.append(f"watchNamespaces={{{world.namespace}}}")
    rendered = render(*settings, namespace=world.namespace)
    objects = [one for one in rendered if one["kind"] in _KINDS]
    for one in objects:
        world.api.apply(one)
    yield objects
    for one in objects:
        metadata = one["metadata"]
        name, namespace = metadata["name"], metadata.get("namespace", "")
        world.api.delete(one["apiVersion"], one["kind"], name, namespace)


def held_by_the_policy(plane: ControlPlane, world: World, account: str) -> None:
    """Wait until the gateway has its rights, and cannot scale a stranger's Deployment all the same.

    The API server learns of roles and of policies by watches, of each in its own time.
    """
    world.api.create(deployment(world.namespace, "stranger"))
    path = world.api.path(*DEPLOYMENT, world.namespace, "stranger")
    wake: Any = {"spec": {"replicas": 1}}

    def refused(client: KubeApi) -> bool:
        kind = "application/merge-patch+json"
        try:
            client.request("PATCH", f"{path}/scale", wake, query={"dryRun": "All"}, kind=kind)
        except Refused as found:
            return "ValidatingAdmissionPolicy" in found.message
        return False

    def reads(client: KubeApi) -> bool:
        with suppress(Refused):
            for kind in (MODEL, SLICE, SECRET):
                client.request("GET", world.api.path(*kind, world.namespace))
            return True
        return False

    with as_account(plane, world.api, world.namespace, account) as client:
        wait_until("the policy", lambda: refused(client), seconds=120)
        wait_until("its rights", lambda: reads(client), seconds=120)


def test_it_serves_checks_keys_and_wakes(
    control_plane: ControlPlane,
    world: World,
    release: list[Object],
    tmp_path: Path,
) -> None:
    """It lists, watches, reads its keys and wakes a model; nothing that it tries is forbidden."""
    account = the(release, "ServiceAccount", "gateway")["metadata"]["name"]
    held_by_the_policy(control_plane, world, account)
    # With all namespaces served, the models of other tests are here too.
    name = f"smol-{world.namespace}"
    sleeping = deployment(world.namespace, name)
    labels = pod_selector(name)
    sleeping["spec"]["selector"]["matchLabels"] = labels
    sleeping["spec"]["template"]["metadata"]["labels"] = labels
    world.api.create(sleeping)
    world.model(name, status=ASLEEP)
    key = make_key(world, "alice", "--models", f"{world.namespace}/*")
    config = kubeconfig_of(
        control_plane, world.api, world.namespace, account, tmp_path / "kubeconfig"
    )
    scope = {"MODELRUNNER_GATEWAY_API_KEYS": "true"}
    if any(one["kind"] == "ClusterRoleBinding" for one in release):
        scope["MODELRUNNER_WATCH_NAMESPACES"] = ""
    answers: list[httpx.Response] = []
    with (
        RunnerProcess(name, tmp_path / "runner") as runner,
        GatewayProcess(config, world.namespace, tmp_path / "gateway", **scope) as gateway,
    ):
        gateway.serving()

        def ask() -> None:
            body = {"model": name, "messages": [], "script": "chat"}
            headers = {"x-api-key": key}
            url = f"{gateway.url}/v1/chat/completions"
            answers.append(httpx.post(url, json=body, headers=headers, trust_env=False, timeout=60))

        client = threading.Thread(target=ask)
        client.start()
        gateway.wait("the scale", lambda: _replicas(world, name) == 1)
        world.endpoint(name, runner.port)
        client.join()
        assert [one.status_code for one in answers] == [200], answers[0].text
        world.api.delete("v1", "Secret", "alice", world.namespace)
        gateway.wait("the key's end", lambda: _status(gateway, key) == 401)
        assert "forbidden" not in gateway.log.lower()
        assert key not in gateway.log
        assert key not in str(gateway.accesses)


def _replicas(world: World, name: str) -> int:
    found = world.api.get(*DEPLOYMENT, name, world.namespace)
    assert found is not None
    return int(found["spec"]["replicas"])


def _status(gateway: GatewayProcess, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.get(
        f"{gateway.url}/v1/models", headers=headers, trust_env=False, timeout=60
    ).status_code
