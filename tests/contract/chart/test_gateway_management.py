"""Management of models through the gateway, in the chart: settings, and rights on a real API server."""

from collections.abc import Iterator

import pytest

from release.helm import HelmError
from tests.cluster.control_plane import ControlPlane
from tests.contract.chart.conftest import container, environment, of_kind, render, rights_of, the
from tests.contract.chart.scales import new_namespace
from tests.contract.chart.test_gateway import told
from tests.contract.chart.test_gateway_rights import _rules
from tests.support import manifests
from tests.support.accounts import as_account
from tests.support.kubeapi import KubeApi, Refused

ON = "gateway.management.enabled=true"


def test_what_the_gateway_is_told() -> None:
    """Nothing while it is off; else the namespace, the runner, and registries without TLS."""
    off = {one["name"] for one in container(render(), "gateway")["env"]}
    assert not [name for name in off if "MANAGEMENT" in name or "ORIGINS" in name]
    settings = told(render(ON))
    assert (settings.management, settings.home) == (True, "model-runner-system")
    settings = told(
        render(
            ON,
            "watchNamespaces={one,two}",
            "gateway.management.namespace=two",
            "gateway.management.runner=gpu",
            "gateway.management.insecureRegistries={localhost:5000,registry.local}",
            "gateway.origins={https://chat.example.com,http://localhost:*}",
        )
    )
    assert (settings.home, settings.management_runner) == ("two", "gpu")
    assert settings.insecure_registries == ("localhost:5000", "registry.local")
    assert settings.origins == ("https://chat.example.com", "http://localhost:*")


def test_models_are_made_where_somebody_looks() -> None:
    """A namespace that is not served is refused, by Helm and by the process."""
    words = "model-runner-system must be one of watchNamespaces"
    with pytest.raises(HelmError, match=words):
        render(ON, "watchNamespaces={one}")
    assert render("watchNamespaces={one}", "gateway.management.namespace=two")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("gateway.management.enabled=maybe", "/gateway/management/enabled"),
        ("gateway.management.namespace=Not_One", "/gateway/management/namespace"),
        ("gateway.management.runner=", "/gateway/management/runner"),
        ("gateway.management.insecureRegistries={http://x}", "/insecureRegistries/0"),
        ("gateway.management.name=x", "'name' not allowed"),
        ("gateway.origins={chat.example.com}", "/gateway/origins/0"),
        ("gateway.env.MODELRUNNER_GATEWAY_MANAGEMENT=true", "MODELRUNNER_GATEWAY_MANAGEMENT"),
        ("gateway.env.MODELRUNNER_GATEWAY_ORIGINS=x", "MODELRUNNER_GATEWAY_ORIGINS"),
    ],
)
def test_values_that_are_refused(setting: str, words: str) -> None:
    """Before anything is installed."""
    with pytest.raises(HelmError) as refused:
        render(setting)
    assert words in str(refused.value)


def test_the_right_to_write_models_is_one_role() -> None:
    """In that namespace alone, and only when it is on."""

    def holders(*settings: str) -> list[tuple[str, str | None]]:
        objects = render(*settings)
        return [
            (one["kind"], one["metadata"].get("namespace"))
            for kind in ("Role", "ClusterRole")
            for one in of_kind(objects, kind)
            if one["metadata"]["labels"]["app.kubernetes.io/component"] == "gateway"
            for rule in one["rules"]
            if "create" in rule["verbs"]
        ]

    assert holders() == []
    assert holders(ON, "gateway.management.namespace=ml") == [("Role", "ml")]
    assert holders(ON) == [("Role", "model-runner-system")]
    assert environment(render(ON), "gateway")


@pytest.fixture(scope="module")
def home(api: KubeApi) -> Iterator[str]:
    """The namespace in which models are managed."""
    name = new_namespace(api)
    yield name
    api.delete("v1", "Namespace", name)


@pytest.fixture(scope="module")
def gateway(control_plane: ControlPlane, api: KubeApi, home: str, served: str) -> Iterator[KubeApi]:
    """The gateway of a release that serves two namespaces and manages one."""
    place = new_namespace(api)
    watched = f"watchNamespaces={{{home},{served}}}"
    with rights_of(api, place, ON, f"gateway.management.namespace={home}", watched) as objects:
        account = the(objects, "ServiceAccount", "gateway")["metadata"]["name"]
        with as_account(control_plane, api, place, account) as client:
            yield client
    api.delete("v1", "Namespace", place)


@pytest.fixture(scope="module")
def served(api: KubeApi) -> Iterator[str]:
    """A namespace whose models are served, and are somebody else's."""
    name = new_namespace(api)
    yield name
    api.delete("v1", "Namespace", name)


@pytest.mark.control_plane
def test_models_are_written_in_one_namespace(gateway: KubeApi, home: str, served: str) -> None:
    """The API server's own list of its rights: three verbs more, there and nowhere else."""
    read = {"get", "list", "watch"}
    common = {
        ("discovery.k8s.io", "endpointslices"): read,
        ("apps", "deployments/scale"): {"get", "patch"},
    }
    models = ("modelrunner.dev", "models")
    assert _rules(gateway, served) == common | {models: read}
    found = _rules(gateway, home)
    assert found.pop(models) == read | {"create", "patch", "delete"}
    assert found == common
    assert _rules(gateway, "default") == {}


@pytest.mark.control_plane
def test_it_makes_changes_and_deletes_a_model_there(
    gateway: KubeApi, api: KubeApi, home: str, served: str
) -> None:
    """Not its status, and not in the other namespace."""
    source = {"oci": {"reference": "ai/smollm2:latest"}}
    gateway.create(manifests.model(home, "m", source))
    change = {"spec": {"keepAlive": "1m"}}
    body = {"apiVersion": manifests.API_VERSION, "kind": "Model"}
    gateway.merge({**body, "metadata": {"name": "m", "namespace": home}, **change})
    for place, subresource in ((home, "status"), (served, "")):
        with pytest.raises(Refused) as refused:
            gateway.merge(
                {**body, "metadata": {"name": "m", "namespace": place}, "status": {}},
                subresource=subresource,
            )
        assert refused.value.status == 403
    with pytest.raises(Refused) as refused:
        gateway.create(manifests.model(served, "m", source))
    assert refused.value.status == 403
    gateway.delete(manifests.API_VERSION, "Model", "m", home)
    assert api.get(manifests.API_VERSION, "Model", "m", home) is None
