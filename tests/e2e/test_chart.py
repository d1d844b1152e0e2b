"""The chart's life on a real cluster: what an uninstall takes away, and what it must not."""

import pytest

from tests.e2e.test_spine import chat
from tests.support import manifests
from tests.support.stack import RELEASE, SYSTEM_NAMESPACE, Stack

pytestmark = [pytest.mark.cluster, pytest.mark.alone]


def test_uninstall_keeps_kinds_models_and_serving(stack: Stack, default_runner: str) -> None:
    """`helm uninstall` removes the operator; CRDs, Models and their pods stay and answer."""
    # One that may sleep some day tells when, at a time of its own.
    stack.apply(manifests.model(default_runner, "kept", stack.http_source(), keepAlive="-1"))
    before = stack.wait_for(default_runner, "kept", ready=True, settled=True)
    stack.helm("uninstall", RELEASE, "-n", SYSTEM_NAMESPACE, "--wait", "--timeout=120s")
    try:
        assert stack.objects("deployments", SYSTEM_NAMESPACE) == []
        kept = stack.get("models", default_runner, "kept")
        assert kept is not None
        assert kept["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
        with stack.client(default_runner, "kept") as client:
            assert client.post("/v1/chat/completions", json=chat("kept")).status_code == 200
        # Deleting needs no operator: nothing of ours holds an object back.
        stack.delete("models", default_runner, "kept")
        stack.wait("no pods", lambda: stack.objects("pods", default_runner) == [])
    finally:
        stack.install()
    stack.apply(manifests.model(default_runner, "again", stack.http_source()))
    stack.wait_for(default_runner, "again", ready=True)
