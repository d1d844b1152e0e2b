"""Models from a Hub's repositories, on the real cluster."""

import json
from collections.abc import Iterator

import pytest

from tests.support import manifests
from tests.support.hub import Hub, hub_for_pods
from tests.support.kubeapi import Object
from tests.support.stack import Stack, condition

pytestmark = pytest.mark.cluster

TOKEN = "hf_of_this_test"


@pytest.fixture(scope="module")
def hub(stack: Stack) -> Iterator[Hub]:
    """A Hub that pods reach, with the real model in a private repository."""
    with hub_for_pods(stack.provider.host_address) as hub:
        yield hub


@pytest.fixture
def runner(stack: Stack, namespace: str, hub: Hub) -> str:
    """A namespace whose pulls ask this Hub."""
    env = [{"name": "HF_ENDPOINT", "value": hub.url}]
    stack.apply(manifests.runner(namespace, env=env))
    return namespace


def _source(**fields: object) -> Object:
    hub = {"repository": "Acme/SmolLM2-GGUF", "quantization": "Q4_1"} | fields
    return {"huggingFace": hub, "credentialsSecret": "hub"}


def test_model_from_a_private_repository(stack: Stack, runner: str, hub: Hub) -> None:
    """Told what to do while the token is missing; with it the model answers, its commit pinned."""
    weights = stack.weights.read_bytes()
    files = {"SmolLM2-135M-Q4_1.gguf": weights, "SmolLM2-135M-Q8_0.gguf": b"", "README.md": b"x"}
    commit = hub.put("Acme/SmolLM2-GGUF", files, token=TOKEN)
    stack.apply(manifests.model(runner, "hub", _source()))
    told = stack.wait_for(runner, "hub", reason="PullFailed")
    assert (
        "kubectl create secret generic hub --from-literal=token="
        in condition(told, "Ready")["message"]
    )
    stack.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "hub", "namespace": runner},
            "stringData": {"token": TOKEN},
        }
    )
    found = stack.wait_for(runner, "hub", ready=True)
    artifact = found["status"]["artifact"]
    assert artifact["revision"] == commit
    assert artifact["sizeBytes"] == len(weights)
    (pod,) = stack.runner_pods(runner, "hub")
    assert "credentials" not in json.dumps(pod["spec"]["volumes"])
    with stack.client(runner, "hub") as client:
        answer = client.post(
            "/v1/completions", json={"model": "hub", "prompt": "One", "max_tokens": 2}
        )
    assert answer.status_code == 200
    assert all("authorization" not in one.headers for one in hub.store.requests)
