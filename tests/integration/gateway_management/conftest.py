"""A real kube-apiserver, and a real gateway with the rights that the chart gives it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from uuid import uuid4

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.contract.chart.conftest import render, the
from tests.integration.gateway_management.homes import Home
from tests.support.accounts import as_account, kubeconfig_of
from tests.support.gateway_process import GatewayProcess
from tests.support.kubeapi import KubeApi
from tests.support.rights import until_rights_hold

_RIGHTS = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
_MANAGED = {"MODELRUNNER_GATEWAY_MANAGEMENT": "true"}

Homes = Callable[..., Home]


@pytest.fixture(scope="module")
def homes(
    control_plane: ControlPlane, api: KubeApi, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Homes]:
    """`homes("gateway.apiKeys.enabled=true", SETTING="x")`: a namespace with a gateway in it.

    The words are values of the chart, whose rights the gateway has; the settings are its own. HOME
    in both is that namespace.
    """
    with ExitStack() as stack:

        def make(*values: str, **settings: str) -> Home:
            namespace = f"t-{uuid4().hex[:10]}"
            api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
            told = ("watchNamespaces={HOME}", "crds.install=false", *values)
            rendered = render(
                *(one.replace("HOME", namespace) for one in told), namespace=namespace
            )
            objects = [one for one in rendered if one["kind"] in _RIGHTS]
            for one in objects:
                api.apply(one)
                place = one["metadata"].get("namespace", "")
                stack.callback(
                    api.delete, one["apiVersion"], one["kind"], one["metadata"]["name"], place
                )
            until_rights_hold(api, namespace)
            account = the(objects, "ServiceAccount", "gateway")["metadata"]["name"]
            with as_account(control_plane, api, namespace, account):
                folder = tmp_path_factory.mktemp("gateway")
                config = kubeconfig_of(control_plane, api, namespace, account, folder / "config")
            settings = {
                name: value.replace("HOME", namespace)
                for name, value in (_MANAGED | settings).items()
            }
            gateway = stack.enter_context(
                GatewayProcess(config, namespace, folder / "gateway", **settings)
            )
            return Home(api, namespace, gateway.serving())

        yield make


@pytest.fixture(scope="module")
def home(homes: Homes) -> Home:
    """A gateway through which models are managed."""
    return homes("gateway.management.enabled=true")


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test finds no Models."""
    yield
    if "home" in request.fixturenames:
        request.getfixturevalue("home").clear()
