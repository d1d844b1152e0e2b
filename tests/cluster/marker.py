"""The mark without which no cluster is touched by tests."""

from pathlib import Path

from tests.cluster.commands import run
from tests.cluster.errors import ClusterError
from tests.cluster.settings import HERE

NAMESPACE = "kube-system"
CONFIG_MAP = "model-runner-tests"
KEY = "allow-tests"
MANIFEST = HERE / "manifests/marker.yaml"


def apply(kubectl: str | Path, kubeconfig: Path) -> None:
    """Mark a cluster that we made."""
    run(kubectl, f"--kubeconfig={kubeconfig}", "apply", "--server-side", "-f", MANIFEST)


def require(kubectl: str | Path, kubeconfig: Path) -> None:
    """Raise a ClusterError unless the cluster is marked; it tells the command that marks it."""
    path = "{.data." + KEY + "}"
    command = ("get", "configmap", CONFIG_MAP, "--ignore-not-found", f"-o=jsonpath={path}")
    try:
        flags = (f"--kubeconfig={kubeconfig}", "--request-timeout=20s", "-n", NAMESPACE)
        answer = run(kubectl, *flags, *command, timeout=60)
    except ClusterError as error:
        raise ClusterError(f"the cluster of {kubeconfig} cannot be asked: {error}") from error
    if answer.strip() != "true":
        raise ClusterError(refusal(kubeconfig))


def refusal(kubeconfig: Path) -> str:
    """Why an unmarked cluster is refused, and the command that marks it."""
    return (
        f"the cluster of {kubeconfig} is not marked for tests, which create and delete namespaces, "
        "cluster roles and custom resource definitions. If it may be used for that, mark it:\n"
        f"  kubectl --kubeconfig {kubeconfig} -n {NAMESPACE} create configmap {CONFIG_MAP} "
        f"--from-literal={KEY}=true"
    )
