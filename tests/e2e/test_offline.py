"""The cache is whole, the network is cut: nothing that serves models needs more."""

import httpx
import pytest

from tests.e2e.test_gateway import CHAT, sleep
from tests.e2e.test_spine import chat
from tests.support import manifests
from tests.support.file_server import Fault
from tests.support.stack import Stack, condition

pytestmark = [pytest.mark.cluster, pytest.mark.alone]


def test_cached_models_need_no_network(
    stack: Stack, default_runner: str, gateway: httpx.Client
) -> None:
    """A model starts anew, wakes, rolls and is made again without a packet that leaves the node.

    Its source is down, too, and is not even asked.
    """
    if not stack.provider.owns_node:
        pytest.skip("the network of this cluster's nodes belongs to somebody else")
    source = stack.http_source(stack.files.copy("offline.gguf"))
    manifest = manifests.model(default_runner, "offline", source)
    stack.apply(manifest)
    stack.wait_for(default_runner, "offline", ready=True)
    stack.files.spoil("offline.gguf", Fault(status=503))
    asked = stack.files.requests("offline.gguf")

    with stack.provider.cut_off() as lost:
        _want_out(stack, default_runner)
        noticed = lost()
        assert noticed > 0
        _start_anew(stack, default_runner, "offline")
        sleep(stack, default_runner, "offline")
        answer = gateway.post(CHAT, json=chat(f"{default_runner}/offline"))
        assert answer.status_code == 200, answer.text
        assert "X-Model-Cold-Start" in answer.headers
        _roll(stack, default_runner, "offline", source)
        stack.delete("models", default_runner, "offline", propagation="Foreground")
        stack.wait("it is gone", lambda: not stack.get("models", default_runner, "offline"))
        stack.apply(manifest)
        stack.wait_for(default_runner, "offline", ready=True)
        assert gateway.post(CHAT, json=chat(f"{default_runner}/offline")).status_code == 200
        assert lost() == noticed
    assert stack.files.requests("offline.gguf") == asked


def _want_out(stack: Stack, namespace: str) -> None:
    """A pod that asks a stranger, which is how the count is known to count."""
    script = "import socket\ntry: socket.create_connection(('198.51.100.1', 80), 1)\nexcept OSError: pass"
    command = ["python3", "-c", script]
    stack.run_pod(manifests.pod(namespace, "stranger", stack.images.runner, command, {}))


def _start_anew(stack: Stack, namespace: str, name: str) -> None:
    (pod,) = stack.runner_pods(namespace, name)
    stack.delete("pods", namespace, pod["metadata"]["name"])

    def another() -> bool:
        found = stack.runner_pods(namespace, name)
        anew = [one for one in found if one["metadata"]["uid"] != pod["metadata"]["uid"]]
        return any(condition(one, "Ready").get("status") == "True" for one in anew)

    stack.wait("another pod that is ready", another)
    stack.wait_for(namespace, name, reason="Ready")


def _roll(stack: Stack, namespace: str, name: str, source: manifests.Manifest) -> None:
    (pod,) = stack.runner_pods(namespace, name)
    stack.apply(manifests.model(namespace, name, source, config={"contextSize": 1024}))

    def replaced() -> bool:
        found = stack.runner_pods(namespace, name)
        return len(found) == 1 and found[0]["metadata"]["uid"] != pod["metadata"]["uid"]

    stack.wait("new pods in place of the old", replaced)
    stack.wait_for(namespace, name, ready=True)
