"""The operator as a process in the cluster: election, rights, rest, monitoring."""

import re
import subprocess
from collections import Counter

import pytest

from tests.support import manifests
from tests.support.service_monitors import serving_service_monitors
from tests.support.stack import RELEASE, SYSTEM_NAMESPACE, Stack, condition

pytestmark = [pytest.mark.cluster, pytest.mark.alone]


def test_another_replica_takes_over_when_the_leader_dies(stack: Stack, default_runner: str) -> None:
    """With the leader's pod gone, a Model applied afterwards still becomes Ready."""
    # Between two of them there is none for a moment.
    stack.wait("a leader", lambda: _leader(stack) != "")
    leader = _leader(stack)
    assert leader
    stack.delete("pods", SYSTEM_NAMESPACE, leader)
    stack.wait("another leader", lambda: _leader(stack) not in {leader, ""})
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
    stack.wait_for(default_runner, "resting", ready=True, settled=True)

    def told_all() -> bool:
        """When it may sleep can be told a moment later, as does the Deployment's controller."""
        found = stack.get("models", default_runner, "resting") or {}
        rolled_out = _rolled_out(stack, default_runner, "resting")
        return "idleDeadline" in found["status"] and rolled_out

    stack.wait("all is told of it", told_all)
    before = _versions(stack, default_runner)
    leader = _leader(stack)
    runs = _reconciles(stack, leader)
    runner = manifests.runner(default_runner)
    runner["metadata"]["labels"] = {"touched": "yes"}
    stack.apply(runner)

    def looked_at() -> bool:
        now = _reconciles(stack, leader)
        return all(now[kind] > runs[kind] for kind in ("ModelRunner", "Model"))

    stack.wait("the touch was looked at", looked_at)
    assert _versions(stack, default_runner) == before


def _versions(stack: Stack, namespace: str) -> dict[str, str]:
    """The resourceVersion of everything the operator owns there."""
    kinds = ("models", "deployments", "services", "persistentvolumeclaims", "jobs")
    return {
        f"{kind}/{one['metadata']['name']}": one["metadata"]["resourceVersion"]
        for kind in kinds
        for one in stack.objects(kind, namespace)
    }


def _rolled_out(stack: Stack, namespace: str, name: str) -> bool:
    """Whether the Deployment's controller has written the last that it has to say of it."""
    found = stack.get("deployments", namespace, name) or {}
    progress = condition(found, "Progressing").get("reason")
    available = found.get("status", {}).get("availableReplicas", 0)
    return bool(progress == "NewReplicaSetAvailable" and available == found["spec"]["replicas"])


def _reconciles(stack: Stack, pod: str) -> Counter[str]:
    """The finished reconciles of an operator's pod, by kind."""
    path = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/pods/{pod}:8080/proxy/metrics"
    text = stack.api.http.get(path).text
    line = re.compile(r'^modelrunner_reconcile_total\{.*kind="(\w+)".*\} (\S+)$', re.MULTILINE)
    found = Counter[str]()
    for kind, count in line.findall(text):
        found[kind] += int(float(count))
    return found


def test_service_monitor_appears_when_the_cluster_learns_the_kind(
    stack: Stack, default_runner: str
) -> None:
    """Without the kind nothing breaks; once it is there, each ModelRunner has its monitor."""
    with serving_service_monitors(stack.api):
        stack.wait(
            "the ServiceMonitor",
            lambda: bool(stack.objects("servicemonitors", default_runner)),
        )
        (monitor,) = stack.objects("servicemonitors", default_runner)
    selector = monitor["spec"]["selector"]["matchLabels"]
    assert selector["modelrunner.dev/runner"] == "default"
    assert monitor["spec"]["endpoints"][0]["port"] == "http"
