"""What is rendered: safe pods, least rights, one set of labels, definitions that stay."""

from typing import Any

import pytest
import yaml

from release.copies import CHART, differences
from release.manifests import manifests
from tests.contract.chart.conftest import (
    EVERYTHING,
    container,
    of_kind,
    of_part,
    pod_template,
    render,
    the,
)
from tests.support.kubeapi import Object

_CLUSTER_WIDE = {
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}
_VARIANTS = [
    (),
    ("watchNamespaces={one,two}",),
    ("metrics.serviceMonitor.enabled=true", "replicas=1", "crds.keep=false"),
    EVERYTHING,
]


def rules(objects: list[Object]) -> list[dict[str, Any]]:
    """All rules of all roles."""
    roles = [*of_kind(objects, "ClusterRole"), *of_kind(objects, "Role")]
    return [rule for role in roles for rule in role["rules"]]


@pytest.mark.parametrize("settings", _VARIANTS)
def test_no_role_has_wildcards_or_secrets(settings: tuple[str, ...]) -> None:
    """Nobody gets everything, Secrets, shells in pods, tokens or the rights of others."""
    never = {"*", "pods/exec", "pods/attach", "pods/portforward", "pods/log"}
    never |= {"serviceaccounts/token", "roles", "rolebindings", "clusterroles", "nodes"}
    if "gateway.apiKeys.enabled=true" not in settings:
        never.add("secrets")
    for rule in rules(render(*settings)):
        assert not never & set(rule["resources"]), rule
        assert "*" not in rule["verbs"] + rule["apiGroups"], rule
        assert not {"impersonate", "escalate", "bind"} & set(rule["verbs"]), rule
        assert "nonResourceURLs" not in rule


def test_the_operator_writes_no_specs_and_deletes_little() -> None:
    """Users' objects are theirs: their status is written; of what holds data only claims may go."""
    role = next(
        one
        for one in of_kind(render(), "ClusterRole")
        if one["metadata"]["name"] == "model-runner-system-model-runner-operator"
    )
    by_resource = {name: set(rule["verbs"]) for rule in role["rules"] for name in rule["resources"]}
    assert by_resource["models"] == by_resource["modelrunners"] == {"get", "list", "watch"}
    deleted = {name for name, verbs in by_resource.items() if "delete" in verbs}
    assert deleted == {"jobs", "servicemonitors", "persistentvolumeclaims"}
    assert by_resource["pods"] == {"get", "list", "watch", "patch"}
    assert by_resource["deployments/scale"] == {"get", "patch"}


def test_watched_namespaces_bound_the_rights() -> None:
    """With watchNamespaces there is no cluster-wide binding, and one in each namespace."""
    objects = render("watchNamespaces={one,two}")
    assert not of_kind(objects, "ClusterRoleBinding")
    bound = {
        one["metadata"]["namespace"]
        for one in of_kind(objects, "RoleBinding")
        if one["roleRef"]["kind"] == "ClusterRole"
    }
    assert bound == {"one", "two"}


def test_the_lease_is_the_only_one() -> None:
    """The operator may read and change the Lease that it is told of, and no other."""
    objects = render(release="two")
    named = [rule for rule in the(objects, "Role")["rules"] if "create" not in rule["verbs"]]
    assert [rule["resourceNames"] for rule in named] == [["two-model-runner-operator"]]


@pytest.mark.parametrize("part", ["operator", "gateway"])
def test_pods_meet_the_restricted_standard(part: str) -> None:
    """The fields of the restricted Pod Security Standard, and a root that cannot be written."""
    objects = render()
    spec = pod_template(objects, part)["spec"]
    security = container(objects, part)["securityContext"]
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert security == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    assert [list(volume) for volume in spec["volumes"]] == [["name", "emptyDir"]]


def test_probes_and_limits() -> None:
    """Every probe asks the operator's own routes; memory is bounded, CPU is not throttled."""
    found = container(render())
    for probe, path in (
        ("startup", "/healthz"),
        ("liveness", "/healthz"),
        ("readiness", "/readyz"),
    ):
        assert found[f"{probe}Probe"]["httpGet"] == {"path": path, "port": "http"}
    assert found["resources"]["limits"].keys() == {"memory"}


@pytest.mark.parametrize("settings", _VARIANTS)
def test_every_object_has_the_labels_and_its_namespace(settings: tuple[str, ...]) -> None:
    """Everything can be found by one selector, and static YAML needs no --namespace."""
    for one in render(*settings):
        labels = one["metadata"]["labels"]
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        if one["kind"] != "CustomResourceDefinition":
            assert labels["app.kubernetes.io/instance"] == "model-runner-operator"
        assert ("namespace" in one["metadata"]) == (one["kind"] not in _CLUSTER_WIDE), one["kind"]


@pytest.mark.parametrize("part", ["operator", "gateway"])
def test_the_deployment_selects_its_pods_and_nothing_that_changes(part: str) -> None:
    """A selector cannot be changed later, so it holds no version."""
    objects = render()
    selector = the(objects, "Deployment", part)["spec"]["selector"]["matchLabels"]
    assert selector.items() <= pod_template(objects, part)["metadata"]["labels"].items()
    assert selector == the(objects, "PodDisruptionBudget", part)["spec"]["selector"]["matchLabels"]
    assert not {"app.kubernetes.io/version", "helm.sh/chart"} & selector.keys()


@pytest.mark.parametrize(
    ("part", "setting"),
    [("operator", "serviceAccount.name=mine"), ("gateway", "gateway.serviceAccount.name=mine")],
)
def test_the_policies_are_of_one_release(part: str, setting: str) -> None:
    """Each release holds its own accounts, by their names, and fails closed."""
    for where in ("one", "two"):
        objects = of_part(render(setting, namespace=where), part)
        policy = the(objects, "ValidatingAdmissionPolicy", part)
        assert policy["spec"]["failurePolicy"] == "Fail"
        (condition,) = policy["spec"]["matchConditions"]
        assert condition["expression"].endswith(f"'system:serviceaccount:{where}:mine'")
        binding = the(objects, "ValidatingAdmissionPolicyBinding", part)
        assert binding["spec"] == {
            "policyName": policy["metadata"]["name"],
            "validationActions": ["Deny"],
        }
        assert of_kind(objects, "ClusterRole")


def test_two_releases_have_names_of_their_own() -> None:
    """Releases of one name in two namespaces share no cluster-wide object but the definitions."""
    first, second = render(namespace="one"), render(namespace="two")
    cluster_wide = _CLUSTER_WIDE - {"CustomResourceDefinition"}
    names = [
        {one["metadata"]["name"] for kind in cluster_wide for one in of_kind(objects, kind)}
        for objects in (first, second)
    ]
    assert not names[0] & names[1]


def test_definitions_stay_when_a_release_goes() -> None:
    """Uninstalling would otherwise delete every Model of the cluster."""
    for kept, settings in ((True, ()), (False, ("crds.keep=false",))):
        for definition in of_kind(render(*settings), "CustomResourceDefinition"):
            annotations = definition["metadata"].get("annotations", {})
            assert ("helm.sh/resource-policy" in annotations) is kept


def test_definitions_are_those_of_the_repository() -> None:
    """The chart's copies are copies, and Helm's rendering changes nothing but metadata."""
    assert differences() == []
    rendered = {
        one["metadata"]["name"]: one["spec"]
        for one in of_kind(render(), "CustomResourceDefinition")
    }
    sources = [
        yaml.safe_load(file.read_text("utf-8"))
        for file in sorted((CHART.parents[1] / "crds").glob("*.yaml"))
    ]
    assert rendered == {one["metadata"]["name"]: one["spec"] for one in sources}


def test_static_manifests_are_the_chart_without_helm() -> None:
    """dist/ holds the chart's defaults and the namespace, says nothing of Helm, never varies."""
    first, second = manifests(), manifests()
    assert first == second
    static = [one for text in first.values() for one in yaml.safe_load_all(text) if one]
    assert "managed-by: Helm" not in "".join(first.values())

    def names(objects: list[Object]) -> set[tuple[str, str]]:
        return {(one["kind"], one["metadata"]["name"]) for one in objects}

    assert names(static) == names(render()) | {("Namespace", "model-runner-system")}
    for part in ("operator", "gateway"):
        deployments = [the(objects, "Deployment", part)["spec"] for objects in (static, render())]
        assert deployments[0]["selector"] == deployments[1]["selector"]
        assert deployments[0]["template"]["spec"] == deployments[1]["template"]["spec"]
