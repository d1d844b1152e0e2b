"""Models from a bucket, on the real cluster."""

import json
from collections.abc import Iterator

import pytest

from tests.support import manifests
from tests.support.kubeapi import Object
from tests.support.s3_server import KEY, KEY_ID, REGION, S3Server, running_s3
from tests.support.stack import Stack, condition

pytestmark = pytest.mark.cluster

BUCKET = "models"


@pytest.fixture(scope="module")
def store(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A store that pods reach, with the real model in a folder."""
    folder = tmp_path_factory.mktemp("s3")
    with running_s3(folder, stack.provider.host_address) as store:
        store.put(BUCKET, "smollm2/SmolLM2-135M-Q4_1.gguf", stack.weights.read_bytes())
        yield store


def _source(store: S3Server) -> Object:
    bucket = {"bucket": BUCKET, "prefix": "smollm2", "endpoint": store.url, "region": REGION}
    return {"s3": bucket | {"insecure": True}, "credentialsSecret": "bucket"}


def test_model_from_a_bucket(stack: Stack, namespace: str, store: S3Server) -> None:
    """Told what to do while the keys are missing; with them the model answers."""
    stack.apply(manifests.runner(namespace))
    stack.apply(manifests.model(namespace, "bucket", _source(store)))
    told = stack.wait_for(namespace, "bucket", reason="PullFailed")
    assert (
        "kubectl create secret generic bucket --from-literal=AWS_ACCESS_KEY_ID="
        in condition(told, "Ready")["message"]
    )
    stack.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "bucket", "namespace": namespace},
            "stringData": {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": KEY},
        }
    )
    found = stack.wait_for(namespace, "bucket", ready=True)
    assert found["status"]["artifact"]["sizeBytes"] == stack.weights.stat().st_size
    (pod,) = stack.runner_pods(namespace, "bucket")
    assert "credentials" not in json.dumps(pod["spec"]["volumes"])
    with stack.client(namespace, "bucket") as client:
        answer = client.post(
            "/v1/completions", json={"model": "bucket", "prompt": "One", "max_tokens": 2}
        )
    assert answer.status_code == 200
