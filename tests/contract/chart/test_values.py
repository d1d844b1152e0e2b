"""Values: described, checked, and each with an effect."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from modelrunner.config import OperatorSettings
from release.copies import CHART
from release.helm import HelmError, helm
from tests.contract.chart.conftest import (
    container,
    environment,
    of_kind,
    of_part,
    pod_template,
    render,
    the,
)
from tests.support.kubeapi import Object


def leaves(values: dict[str, Any], path: str = "") -> Iterator[str]:
    """Dotted paths of all values; `resources` is one, as users replace it whole."""
    for key, value in values.items():
        if isinstance(value, dict) and value and key != "resources":
            yield from leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def test_lint_finds_nothing() -> None:
    """Helm's own linter accepts the chart, warnings counted as errors."""
    helm("lint", "--strict", CHART)


def test_every_value_is_in_the_readme() -> None:
    """The table of the README names each value of values.yaml, and nothing else."""
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    rows = (CHART / "README.md").read_text("utf-8").splitlines()
    documented = {row.split("`")[1] for row in rows if row.startswith("| `")}
    assert documented - {"view", "edit", "admin"} == set(leaves(values))


def test_every_value_has_a_comment() -> None:
    """Each line of values.yaml that sets something stands below a comment or its parent."""
    lines = (CHART / "values.yaml").read_text("utf-8").splitlines()
    for above, line in itertools.pairwise(lines):
        if line.strip() and not line.strip().startswith("#") and not line.endswith(":"):
            in_resources = line.strip().split(":")[0] in {"cpu", "memory"}
            assert above.strip().startswith("#") or in_resources, line


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("replica=3", "'replica' not allowed"),
        ("replicas=two", "/replicas"),
        ("replicas=-1", "/replicas"),
        ("logLevel=verbose", "/logLevel"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
        ("image.repository=an image", "/image/repository"),
        ("image.repository=image@sha256:0", "/image/repository"),
        ("image.digest=sha256:short", "/image/digest"),
        ("image.tags=1", "'tags' not allowed"),
        ("runner.image=two words", "/runner/image"),
        ("watchNamespaces={Upper}", "/watchNamespaces/0"),
        ("watchNamespaces={a,a}", "/watchNamespaces"),
        ("resources.limits.memory=lots", "/resources/limits/memory"),
        ("podDisruptionBudget.maxUnavailable=half", "/podDisruptionBudget/maxUnavailable"),
        ("metrics.serviceMonitor.interval=often", "/metrics/serviceMonitor/interval"),
        ("crds.install=maybe", "/crds/install"),
        ("tolerations[0].effects=NoSchedule", "/tolerations/0"),
        ("serviceAccount.name=Not_A_Name", "/serviceAccount/name"),
    ],
)
def test_a_bad_value_is_refused_by_name(setting: str, words: str) -> None:
    """A typo or an impossible value ends before anything reaches the cluster, and is named."""
    with pytest.raises(HelmError, match=r"(?s)values don't meet.*") as refused:
        render(setting)
    assert words in str(refused.value)


def test_an_old_cluster_is_refused() -> None:
    """A release of Kubernetes that the chart was not made for says so."""
    with pytest.raises(HelmError, match="kubeVersion"):
        helm("template", "x", CHART, "--kube-version", "1.29.0")


def test_the_operator_accepts_what_it_is_told() -> None:
    """Every variable of the Deployment is one that the operator knows, with a value it takes."""
    objects = render("watchNamespaces={one,two}", "logLevel=DEBUG", "runner.image=runner:1")
    given = environment(objects) | {"POD_NAMESPACE": "system", "POD_NAME": "pod"}
    settings = OperatorSettings.from_environment(given)
    assert settings.watch_namespaces == ("one", "two")
    assert settings.runner_image == "runner:1"
    assert settings.log_level == "DEBUG"
    assert settings.lease_name == "model-runner-operator"
    assert settings.http_port == container(objects)["ports"][0]["containerPort"]


def test_the_images_of_a_release() -> None:
    """Tags follow the chart's appVersion; a digest pins the operator's image."""
    version = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))["appVersion"]
    objects = render()
    assert container(objects)["image"] == f"ghcr.io/model-runner-operator/operator:{version}"
    runner = environment(objects)["MODELRUNNER_RUNNER_IMAGE"]
    assert runner == f"ghcr.io/model-runner-operator/runner:{version}"
    digest = f"sha256:{'0' * 64}"
    pinned = render("image.repository=r/o", "image.tag=v2", f"image.digest={digest}")
    assert container(pinned)["image"] == f"r/o:v2@{digest}"


def test_scheduling_values_reach_the_pod() -> None:
    """What an administrator says of nodes is in the pod, in place of the defaults."""
    objects = render(
        "nodeSelector.pool=system",
        "tolerations[0].key=system",
        "tolerations[0].operator=Exists",
        "priorityClassName=high",
        "imagePullSecrets[0].name=registry",
        "replicas=3",
        "affinity.nodeAffinity.x=y",
        "topologySpreadConstraints[0].topologyKey=rack",
        "topologySpreadConstraints[0].maxSkew=2",
        "topologySpreadConstraints[0].whenUnsatisfiable=DoNotSchedule",
    )
    spec = pod_template(objects)["spec"]
    assert spec["nodeSelector"] == {"pool": "system"}
    assert spec["tolerations"] == [{"key": "system", "operator": "Exists"}]
    assert spec["priorityClassName"] == "high"
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["affinity"] == {"nodeAffinity": {"x": "y"}}
    assert [one["topologyKey"] for one in spec["topologySpreadConstraints"]] == ["rack"]
    assert the(objects, "Deployment")["spec"]["replicas"] == 3


_PARTS = [
    ("crds.install=false", {"CustomResourceDefinition"}, {"crd"}),
    ("podDisruptionBudget.enabled=false", {"PodDisruptionBudget"}, {"operator"}),
    ("serviceAccount.create=false", {"ServiceAccount"}, {"operator"}),
    (
        "rbac.create=false",
        {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"},
        {"operator", "gateway"},
    ),
    (
        "admissionPolicy.enabled=false",
        {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"},
        {"operator"},
    ),
    ("gateway.podDisruptionBudget.enabled=false", {"PodDisruptionBudget"}, {"gateway"}),
    ("gateway.serviceAccount.create=false", {"ServiceAccount"}, {"gateway"}),
    (
        "gateway.admissionPolicy.enabled=false",
        {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"},
        {"gateway"},
    ),
]


def _identity(one: Object) -> tuple[str, str, str]:
    part = one["metadata"]["labels"].get("app.kubernetes.io/component", "")
    return one["kind"], part, one["metadata"]["name"]


@pytest.mark.parametrize(("setting", "kinds", "parts"), _PARTS, ids=[row[0] for row in _PARTS])
def test_parts_that_can_be_left_out(setting: str, kinds: set[str], parts: set[str]) -> None:
    """Each switch removes its objects and only them."""
    everything = {_identity(one) for one in render()}
    left = {_identity(one) for one in render(setting)}
    wanted = {one for one in everything if one[0] in kinds and one[1] in parts}
    assert wanted
    assert everything - left == wanted
    assert left <= everything


def test_the_gateway_can_be_left_out() -> None:
    """With one switch nothing of the gateway is there, and the rest is as it was."""
    without, everything = render("gateway.enabled=false"), render()
    assert not of_part(without, "gateway")
    gateway = {_identity(one) for one in of_part(everything, "gateway")}
    assert without == [one for one in everything if _identity(one) not in gateway]


def test_a_service_account_that_is_there_is_used() -> None:
    """A name of one's own replaces the release's in the pod and in every binding."""
    objects = of_part(render("serviceAccount.create=false", "serviceAccount.name=mine"), "operator")
    assert pod_template(objects)["spec"]["serviceAccountName"] == "mine"
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        for binding in of_kind(objects, kind):
            assert [one["name"] for one in binding["subjects"]] == ["mine"]


def test_the_service_monitor_selects_the_metrics_service() -> None:
    """Prometheus finds the Service by labels that it has, at a port that it has."""
    settings = ("labels.release=prometheus", "interval=30s", "enabled=true")
    objects = render(*(f"metrics.serviceMonitor.{setting}" for setting in settings))
    monitor, service = the(objects, "ServiceMonitor"), the(objects, "Service")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    assert wanted <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint == {"port": "http", "path": "/metrics", "interval": "30s"}
    assert [port["name"] for port in service["spec"]["ports"]] == ["http"]
    assert (
        service["spec"]["selector"].items() <= pod_template(objects)["metadata"]["labels"].items()
    )


def test_the_notes_tell_the_next_commands() -> None:
    """What Helm prints after an installation names a namespace that is served."""
    command = ("install", "x", CHART, "--dry-run=client", "--namespace", "system")
    notes = helm(*command, "--set", "watchNamespaces={ml}").partition("NOTES:")[2]
    assert "kubectl --namespace system rollout status deployment/x-model-runner-operator" in notes
    assert "kubectl apply --namespace ml" in notes
    assert "kubectl get models --namespace ml" in notes
