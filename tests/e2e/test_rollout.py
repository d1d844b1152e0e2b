"""What rolls pods, and what must not."""

import pytest

from tests.e2e.test_spine import chat
from tests.support import manifests
from tests.support.stack import SYSTEM_NAMESPACE, Stack, condition

pytestmark = [pytest.mark.cluster, pytest.mark.alone]


def uids(stack: Stack, namespace: str, model: str) -> set[str]:
    """The uids of the pods that serve a model."""
    return {one["metadata"]["uid"] for one in stack.runner_pods(namespace, model)}


def test_spec_change_rolls_the_pods(stack: Stack, default_runner: str) -> None:
    """A changed contextSize brings a new pod, and the Model is Ready on it."""
    stack.apply(manifests.model(default_runner, "rolling", stack.http_source()))
    stack.wait_for(default_runner, "rolling", ready=True)
    before = uids(stack, default_runner, "rolling")
    config = {"contextSize": 512}
    stack.apply(manifests.model(default_runner, "rolling", stack.http_source(), config=config))
    stack.wait(
        "a new pod serves alone",
        lambda: len(now := uids(stack, default_runner, "rolling")) == 1 and not now & before,
    )
    stack.wait_for(default_runner, "rolling", ready=True)


def test_changed_source_serves_the_old_weights_until_the_new_are_cached(
    stack: Stack, default_runner: str
) -> None:
    """While a new source cannot be pulled, the old pod goes on answering."""
    stack.apply(manifests.model(default_runner, "moving", stack.http_source()))
    stack.wait_for(default_runner, "moving", ready=True)
    before = uids(stack, default_runner, "moving")
    stack.apply(manifests.model(default_runner, "moving", stack.http_source("missing.gguf")))
    stack.wait_for(default_runner, "moving", reason="PullFailed", kind="Cached")
    assert uids(stack, default_runner, "moving") == before
    with stack.client(default_runner, "moving") as client:
        assert client.post("/v1/chat/completions", json=chat("moving")).status_code == 200


def test_scaled_to_zero_is_healthy_and_left_so(stack: Stack, default_runner: str) -> None:
    """Replicas belong to the scale subresource: 0 stays 0, is Ready, and 1 wakes the model."""
    stack.apply(manifests.model(default_runner, "asleep", stack.http_source()))
    stack.wait_for(default_runner, "asleep", ready=True)
    scale = ("scale", "-n", default_runner, "deployment/asleep")
    stack.kubectl(*scale, "--replicas=0")
    found = stack.wait_for(default_runner, "asleep", reason="ScaledToZero")
    assert condition(found, "Ready")["status"] == "True"
    config = {"contextSize": 1024}
    stack.apply(manifests.model(default_runner, "asleep", stack.http_source(), config=config))
    found = stack.wait_for(default_runner, "asleep", reason="ScaledToZero")
    assert found["status"].get("replicas", 0) == 0
    stack.kubectl(*scale, "--replicas=1")
    stack.wait_for(default_runner, "asleep", reason="Ready")


def test_edit_by_hand_is_mended(stack: Stack, default_runner: str) -> None:
    """Drift of a field that the operator owns is put back."""
    stack.apply(manifests.model(default_runner, "edited", stack.http_source()))
    stack.wait_for(default_runner, "edited", ready=True)
    patch = '[{"op":"replace","path":"/spec/ports/0/targetPort","value":1}]'
    stack.kubectl("patch", "service", "-n", default_runner, "edited", "--type=json", "-p", patch)

    def mended() -> bool:
        service = stack.get("services", default_runner, "edited")
        return service is not None and service["spec"]["ports"][0]["targetPort"] == "http"

    stack.wait("the port is back", mended)


def test_operator_restart_and_upgrade_leave_pods_alone(stack: Stack, default_runner: str) -> None:
    """New operator pods, then another default runner image: the same model pod serves on."""
    # One that may sleep some day tells when, at a time of its own.
    stack.apply(manifests.model(default_runner, "steady", stack.http_source(), keepAlive="-1"))
    before = stack.wait_for(default_runner, "steady", ready=True, settled=True)
    pods = uids(stack, default_runner, "steady")
    stack.kubectl("rollout", "restart", "-n", SYSTEM_NAMESPACE, "deployment/model-runner-operator")
    _rolled_out(stack)
    stack.apply(manifests.model(default_runner, "witness", stack.http_source()))
    stack.wait_for(default_runner, "witness", ready=True)
    assert uids(stack, default_runner, "steady") == pods

    name, _, tag = stack.images.runner.rpartition(":")
    try:
        stack.install(f"runner.image={name}:{tag}-next")
        # The new operator has looked at everything once it told this Model's missing image.
        stack.apply(manifests.model(default_runner, "newer", stack.http_source()))
        stack.wait_for(default_runner, "newer", reason="ImagePullFailed")
        assert uids(stack, default_runner, "steady") == pods
        after = stack.get("models", default_runner, "steady")
        assert after is not None
        assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    finally:
        stack.install()


def _rolled_out(stack: Stack) -> None:
    target = ("-n", SYSTEM_NAMESPACE, "deployment/model-runner-operator")
    stack.kubectl("rollout", "status", *target, "--timeout=240s")


def test_deleted_model_takes_its_children_and_drains_first(
    stack: Stack, default_runner: str
) -> None:
    """Deleting a Model ends its pod only after a running stream is finished."""
    stack.apply(manifests.model(default_runner, "gone", stack.http_source()))
    stack.wait_for(default_runner, "gone", ready=True)
    body = chat("gone", max_tokens=300, stream=True, ignore_eos=True)
    with (
        stack.client(default_runner, "gone") as client,
        client.stream("POST", "/v1/chat/completions", json=body) as answer,
    ):
        lines = answer.iter_lines()
        next(lines)
        stack.delete("models", default_runner, "gone")
        rest = [line for line in lines if line.startswith("data: ")]
    assert rest[-1] == "data: [DONE]"
    stack.wait("no Deployment", lambda: stack.get("deployments", default_runner, "gone") is None)
    stack.wait("no Service", lambda: stack.get("services", default_runner, "gone") is None)
    stack.wait("no pods", lambda: stack.objects("pods", default_runner) == [])
