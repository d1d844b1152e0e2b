"""A node that loses its power while weights are pulled onto it."""

import pytest

from tests.support import manifests
from tests.support.stack import SYSTEM_NAMESPACE, Stack

pytestmark = [pytest.mark.cluster, pytest.mark.alone]


def test_pull_goes_on_after_a_reboot_of_its_node(stack: Stack, default_runner: str) -> None:
    """Kubelet, containerd and the pull end at once; the weights are whole afterwards.

    What the file system had not yet on the disk may be fetched again, what it had is not.
    """
    if not stack.provider.owns_node:
        pytest.skip("the nodes of this cluster belong to somebody else")
    path = stack.files.copy("reboot.gguf")
    size = stack.weights.stat().st_size
    stack.files.hold("reboot.gguf", after=size * 6 // 10)
    source = stack.http_source(path, sha256=stack.weights_sha256)
    stack.apply(manifests.model(default_runner, "reboot", source))
    stack.wait("half is sent", lambda: stack.files.bytes_sent("reboot.gguf") > size / 2)

    before = _containers(stack)
    stack.provider.reboot_node()
    stack.files.go_on("reboot.gguf")
    _wait_for_the_operator(stack, before)
    found = stack.wait_for(default_runner, "reboot", ready=True)
    assert found["status"]["artifact"]["digest"] == f"sha256:{stack.weights_sha256}"
    assert size <= stack.files.bytes_sent("reboot.gguf") < 2 * size
    with stack.client(default_runner, "reboot") as client:
        assert client.get("/v1/models").status_code == 200


def _containers(stack: Stack) -> set[str]:
    """The containers of the operator and of the gateway that are ready, and are to stay."""
    return {
        one["containerID"]
        for pod in stack.objects("pods", SYSTEM_NAMESPACE)
        if "deletionTimestamp" not in pod["metadata"]
        for one in pod["status"].get("containerStatuses", ())
        if one["ready"]
    }


def _wait_for_the_operator(stack: Stack, before: set[str]) -> None:
    """Its pods run again: the tests that follow want a cluster as they know it.

    The API server knows them as ready until the kubelet has told otherwise.
    """

    def again() -> bool:
        found = stack.objects("deployments", SYSTEM_NAMESPACE)
        wanted = sum(one["spec"]["replicas"] for one in found)
        return bool(len(_containers(stack) - before) == wanted > 0)

    stack.wait("the operator and the gateway run again", again)
