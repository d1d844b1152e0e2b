"""A node that loses its power while weights are pulled onto it."""

import pytest

from tests.support import manifests
from tests.support.stack import SYSTEM_NAMESPACE, Stack

pytestmark = [pytest.mark.cluster, pytest.mark.alone]

_PACE = 8 * 1024**2


def test_pull_goes_on_after_a_reboot_of_its_node(stack: Stack, default_runner: str) -> None:
    """Kubelet, containerd and the pull end at once; the weights are whole afterwards.

    What the file system had not yet on the disk may be fetched again, what it had is not.
    """
    if not stack.provider.owns_node:
        pytest.skip("the nodes of this cluster belong to somebody else")
    path = stack.files.copy("reboot.gguf")
    size = stack.weights.stat().st_size
    stack.files.limit("reboot.gguf", bytes_per_second=_PACE)
    source = stack.http_source(path, sha256=stack.weights_sha256)
    stack.apply(manifests.model(default_runner, "reboot", source))
    stack.wait("half is sent", lambda: stack.files.bytes_sent("reboot.gguf") > size / 2)

    stack.provider.reboot_node()
    _wait_for_the_operator(stack)
    found = stack.wait_for(default_runner, "reboot", ready=True, seconds=240)
    assert found["status"]["artifact"]["digest"] == f"sha256:{stack.weights_sha256}"
    assert size <= stack.files.bytes_sent("reboot.gguf") < 2 * size
    with stack.client(default_runner, "reboot") as client:
        assert client.get("/v1/models").status_code == 200


def _wait_for_the_operator(stack: Stack) -> None:
    """Its pods run again: the tests that follow want a cluster as they know it."""

    def ready() -> bool:
        found = stack.objects("deployments", SYSTEM_NAMESPACE)
        return bool(found) and all(
            one["status"].get("readyReplicas", 0) == one["spec"]["replicas"] for one in found
        )

    stack.wait("the operator and the gateway run again", ready, seconds=180)
