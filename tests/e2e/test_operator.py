"""The operator as a process in the cluster: election, rights, rest, monitoring."""

import re
import subprocess

import pytest

from tests.support import manifests
from tests.support.service_monitors import serving_service_monitors
from tests.support.stack import RELEASE, SYSTEM_NAMESPACE, Stack

pytestmark = [pytest.mark.cluster, pytest.mark.alone]


def test_another_replica_takes_over_when_the_leader_dies(stack: Stack, default_runner: str) -> None:
    """With the leader's pod gone, a Model applied afterwards still becomes Ready."""
    leader = _leader(stack)
    stack.delete("pods", SYSTEM_NAMESPACE, leader)
    stack.wait("another leader", lambda: _leader(stack) not in {leader, ""}, seconds=40)
    stack.apply(manifests.model(default_runner, "orphan", stack.http_source()))
    stack.wait_for(default_runner, "orphan", ready=True)


def _leader(stack: Stack) -> str:
    lease = stack.get("leases", SYSTEM_NAMESPACE, RELEASE) or {}
    holder = lease.get("spec", {}).get("holderIdentity") or ""
    return str(holder).partition("_")[0]


@pytest.mark.parametrize(
    ("verb", "resource", "allowed"),
    [
        ("get", "secrets", False),
        ("list", "secrets", False),
        ("create", "pods", False),
        ("create", "pods/exec", False),
        ("delete", "persistentvolumeclaims", True),
        ("update", "models.modelrunner.dev", False),
        ("patch", "models.modelrunner.dev", False),
        ("patch", "models.modelrunner.dev/status", True),
        ("create", "deployments.apps", True),
        ("delete", "deployments.apps", False),
        ("delete", "services", False),
        ("create", "clusterrolebindings", False),
    ],
)
def test_operator_has_no_more_rights_than_it_uses(
    stack: Stack, verb: str, resource: str, allowed: bool
) -> None:
    """RBAC as the API server sees it: no Secrets, no pods of its own, no user's spec."""
    account = f"system:serviceaccount:{SYSTEM_NAMESPACE}:{RELEASE}"
    kind, _, subresource = resource.partition("/")
    question = ["auth", "can-i", verb, kind, f"--as={account}", "-n", "default"]
    answer = _ask(stack, *question, *([f"--subresource={subresource}"] if subresource else []))
    assert answer == ("yes" if allowed else "no")


def _ask(stack: Stack, *question: str) -> str:
    command = [stack.program("kubectl"), f"--kubeconfig={stack.provider.kubeconfig}", *question]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
    return done.stdout.strip()


def test_nothing_is_written_at_rest(stack: Stack, default_runner: str) -> None:
    """Reconciling a Ready Model again (here: its runner was touched) writes nothing at all."""
    stack.apply(manifests.model(default_runner, "resting", stack.http_source()))
    stack.wait_for(default_runner, "resting", ready=True)
    before = _versions(stack, default_runner)
    runs = _metric(stack, "modelrunner_reconcile_total")
    runner = manifests.runner(default_runner)
    runner["metadata"]["labels"] = {"touched": "yes"}
    stack.apply(runner)
    stack.wait(
        "the touch was looked at",
        lambda: _metric(stack, "modelrunner_reconcile_total") > runs,
        seconds=20,
    )
    assert _versions(stack, default_runner) == before


def _versions(stack: Stack, namespace: str) -> dict[str, str]:
    """The resourceVersion of everything the operator owns there."""
    kinds = ("models", "deployments", "services", "persistentvolumeclaims", "jobs")
    return {
        f"{kind}/{one['metadata']['name']}": one["metadata"]["resourceVersion"]
        for kind in kinds
        for one in stack.objects(kind, namespace)
    }


def _metric(stack: Stack, family: str) -> float:
    """The sum of a family's samples over all operator pods."""
    total = 0.0
    for pod in stack.objects("pods", SYSTEM_NAMESPACE, "app.kubernetes.io/component=operator"):
        name = pod["metadata"]["name"]
        path = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/pods/{name}:8080/proxy/metrics"
        text = stack.api.http.get(path).text
        samples = re.findall(rf"^{family}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)
        total += sum(map(float, samples))
    return total


def test_service_monitor_appears_when_the_cluster_learns_the_kind(
    stack: Stack, default_runner: str
) -> None:
    """Without the kind nothing breaks; once it is there, each ModelRunner has its monitor."""
    with serving_service_monitors(stack.api):
        stack.wait(
            "the ServiceMonitor",
            lambda: bool(stack.objects("servicemonitors", default_runner)),
            seconds=90,
        )
        (monitor,) = stack.objects("servicemonitors", default_runner)
    selector = monitor["spec"]["selector"]["matchLabels"]
    assert selector["modelrunner.dev/runner"] == "default"
    assert monitor["spec"]["endpoints"][0]["port"] == "http"
