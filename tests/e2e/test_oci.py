"""Models from a private registry, made by `runnerd package`, on the real cluster."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.support import manifests
from tests.support.kubeapi import Object
from tests.support.oci_files import OciFiles, digest
from tests.support.registry_process import (
    PASSWORD,
    USER,
    RegistryProcess,
    basic_auth,
    docker_config,
    running_registry,
)
from tests.support.stack import Stack, condition
from tests.support.tensor_models import tensors

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def registry(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryProcess]:
    """A registry that pods reach, and that wants a login."""
    folder = tmp_path_factory.mktemp("registry")
    host = stack.provider.host_address
    with running_registry(folder, host=host, auth=basic_auth(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def pushed(
    stack: Stack, registry: RegistryProcess, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The digest of the real model in the registry, as ai/smollm2:v1."""
    config = docker_config(tmp_path_factory.mktemp("docker"), registry.address)
    reference = registry.reference("ai/smollm2:v1")
    command = [sys.executable, "-m", "runnerd", "package", os.fspath(stack.weights)]
    plain = {k: v for k, v in os.environ.items() if not k.upper().endswith("_PROXY")}
    done = subprocess.run(
        [*command, "--push", reference, "--insecure"],
        env={**plain, "DOCKER_CONFIG": os.fspath(config)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: str = json.loads(done.stdout)["digest"]
    return found


def _source(registry: RegistryProcess, name: str, secret: str | None = "login") -> Object:
    oci = {"reference": registry.reference(name), "insecure": True}
    return {"oci": oci, **({"credentialsSecret": secret} if secret else {})}


def _secret(namespace: str, registry: RegistryProcess, password: str = PASSWORD) -> Object:
    """What `kubectl create secret docker-registry login` makes."""
    login = {"username": USER, "password": password}
    config = json.dumps({"auths": {registry.address: login}})
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login", "namespace": namespace},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(config.encode()).decode()},
    }


def test_model_from_a_private_registry(
    stack: Stack, default_runner: str, registry: RegistryProcess, pushed: str
) -> None:
    """The artifact's digest is told, the model answers, and no runner ever sees the Secret."""
    stack.apply(_secret(default_runner, registry))
    stack.apply(manifests.model(default_runner, "private", _source(registry, "ai/smollm2:v1")))
    found = stack.wait_for(default_runner, "private", ready=True)
    artifact = found["status"]["artifact"]
    assert artifact["digest"] == pushed
    assert (artifact["format"], artifact["architecture"]) == ("gguf", "llama")
    assert artifact["sizeBytes"] == stack.weights.stat().st_size
    (pod,) = stack.runner_pods(default_runner, "private")
    assert "login" not in json.dumps(pod["spec"])
    with stack.client(default_runner, "private") as client:
        body = {"model": "private", "messages": [{"role": "user", "content": "Hi"}]}
        answer = client.post("/v1/chat/completions", json={**body, "max_tokens": 4})
    assert answer.status_code == 200, answer.text


def test_artifact_made_again_downloads_nothing(
    stack: Stack, default_runner: str, registry: RegistryProcess, pushed: str
) -> None:
    """Another spelling of the reference in a new Model: ready without asking the registry."""
    stack.apply(_secret(default_runner, registry))
    stack.apply(manifests.model(default_runner, "first", _source(registry, "ai/smollm2:v1")))
    stack.wait_for(default_runner, "first", ready=True)
    stack.delete("models", default_runner, "first", propagation="Foreground")
    stack.wait("the Model is gone", lambda: stack.get("models", default_runner, "first") is None)
    served = registry.bytes_read
    assert served >= stack.weights.stat().st_size

    stack.apply(manifests.model(default_runner, "second", _source(registry, "AI/smollm2:v1")))
    stack.wait_for(default_runner, "second", ready=True)
    assert registry.bytes_read == served


def test_missing_secret_is_told_and_mended(
    stack: Stack, default_runner: str, registry: RegistryProcess, pushed: str
) -> None:
    """A Secret that is not there is named at once; once it is made, the next try succeeds."""
    stack.apply(manifests.model(default_runner, "early", _source(registry, "ai/smollm2:v1")))
    found = stack.wait_for(default_runner, "early", reason="PullFailed")
    assert "there is no Secret login in this namespace" in condition(found, "Ready")["message"]
    stack.apply(_secret(default_runner, registry))
    stack.wait_for(default_runner, "early", ready=True)


def test_wrong_password_is_told(
    stack: Stack, default_runner: str, registry: RegistryProcess, pushed: str
) -> None:
    """Who was refused and which Secret to look at is said, the password is not."""
    stack.apply(_secret(default_runner, registry, "wrong-word"))
    stack.apply(manifests.model(default_runner, "wrong", _source(registry, "ai/smollm2:v1")))
    found = stack.wait_for(default_runner, "wrong", reason="PullFailed")
    message = condition(found, "Ready")["message"]
    assert f"to {USER}" in message
    assert "the Secret login" in message
    assert "wrong-word" not in message


def test_no_secret_is_told_and_mended_by_the_spec(
    stack: Stack, default_runner: str, registry: RegistryProcess, pushed: str
) -> None:
    """Without a Secret the field to set is named; setting it is enough."""
    stack.apply(_secret(default_runner, registry))
    source = _source(registry, "ai/smollm2:v1", None)
    stack.apply(manifests.model(default_runner, "bare", source))
    found = stack.wait_for(default_runner, "bare", reason="PullFailed")
    assert "spec.source.credentialsSecret" in condition(found, "Ready")["message"]
    assert condition(found, "Stalled")["status"] == "True"
    stack.apply(manifests.model(default_runner, "bare", _source(registry, "ai/smollm2:v1")))
    stack.wait_for(default_runner, "bare", ready=True)


def test_artifacts_that_cannot_run_are_refused_before_their_weights_are_read(
    stack: Stack, default_runner: str, registry: RegistryProcess
) -> None:
    """A missing tag and safetensors: one sentence each, and no claim is made."""
    stack.apply(_secret(default_runner, registry))
    stack.apply(manifests.model(default_runner, "missing", _source(registry, "ai/smollm2:none")))
    found = stack.wait_for(default_runner, "missing", reason="PullFailed")
    assert "with the tag none" in condition(found, "Ready")["message"]

    layer = ("application/vnd.docker.ai.safetensors", tensors(), "model.safetensors")
    _push(registry, OciFiles([layer], name="ai/tensors"))
    stack.apply(manifests.model(default_runner, "tensors", _source(registry, "ai/tensors:v1")))
    found = stack.wait_for(default_runner, "tensors", reason="UnsupportedFormat")
    assert "holds safetensors weights (32.77 K, BF16" in condition(found, "Ready")["message"]
    assert found["status"]["artifact"]["format"] == "safetensors"
    assert stack.objects("persistentvolumeclaims", default_runner) == []


def _push(registry: RegistryProcess, files: OciFiles) -> None:
    """Put an artifact into the registry as it is, right or wrong."""
    base = f"http://{registry.address}/v2/{files.name}"
    with httpx.Client(auth=(USER, PASSWORD), trust_env=False, timeout=60) as client:
        for data in (files.config_bytes, *(content for _, content, _ in files.layers)):
            upload = client.post(f"{base}/blobs/uploads/")
            target = httpx.URL(base).join(upload.headers["Location"])
            done = client.put(target.copy_merge_params({"digest": digest(data)}), content=data)
            assert done.status_code == 201, done.text
        kind = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
        url = f"{base}/manifests/{files.tag}"
        done = client.put(url, content=files.manifest_bytes, headers=kind)
        assert done.status_code == 201, done.text
