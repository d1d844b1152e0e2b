"""A tag that moves: noticed, pulled beside what serves, and rolled without a lost request."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.test_gateway import CHAT, sleep
from tests.e2e.test_spine import chat
from tests.support import manifests
from tests.support.gateway import gateway_client
from tests.support.kubeapi import Object
from tests.support.registry_process import RegistryProcess, running_registry
from tests.support.stack import Stack, condition

pytestmark = pytest.mark.cluster

_HEADER = 64 * 1024


@pytest.fixture(scope="module")
def registry(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryProcess]:
    """An open registry that pods reach."""
    folder = tmp_path_factory.mktemp("registry")
    with running_registry(folder, host=stack.provider.host_address) as running:
        yield running


@pytest.fixture(scope="module")
def other_weights(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real model with another name in its header: other bytes that answer as well."""
    content = bytearray(stack.weights.read_bytes())
    at = content.index(b"general.name", 0, _HEADER) + len(b"general.name") + 12
    content[at : at + 1] = b"X"
    path = tmp_path_factory.mktemp("weights") / "other.gguf"
    path.write_bytes(content)
    return path


def test_moved_tag_rolls_without_a_lost_request(
    stack: Stack, default_runner: str, registry: RegistryProcess, other_weights: Path
) -> None:
    """Asked to look again, the new weights are pulled, then served; then the old claim goes."""
    first = _push(registry, stack.weights, "ai/moving:v1")
    stack.apply(manifests.model(default_runner, "moving", _source(registry, "ai/moving:v1")))
    found = stack.wait_for(default_runner, "moving", ready=True)
    assert found["status"]["artifact"]["digest"] == first
    (old,) = _claims(stack, default_runner)

    second = _push(registry, other_weights, "ai/moving:v1")
    assert second != first
    with _asking(stack, default_runner, "moving") as told:
        _refresh(stack, default_runner, "moving", "1")
        stack.wait(
            "the new weights serve and the old claim is gone",
            lambda: (
                _digest(stack, default_runner, "moving") == second
                and old not in _claims(stack, default_runner)
            ),
        )
    assert set(told) == {""}
    assert len(_claims(stack, default_runner)) == 1
    found = stack.wait_for(default_runner, "moving", ready=True, settled=True)
    assert {one["type"] for one in found["status"]["conditions"]} == {"Ready", "Cached"}


def test_sleeping_model_is_refreshed_in_its_sleep(
    stack: Stack, default_runner: str, registry: RegistryProcess, other_weights: Path
) -> None:
    """No pod is started for it, and the first request meets the new weights."""
    _push(registry, stack.weights, "ai/sleeping:v1")
    stack.apply(manifests.model(default_runner, "asleep", _source(registry, "ai/sleeping:v1")))
    stack.wait_for(default_runner, "asleep", ready=True)
    sleep(stack, default_runner, "asleep")
    second = _push(registry, other_weights, "ai/sleeping:v1")
    _refresh(stack, default_runner, "asleep", "1")
    stack.wait("the new weights", lambda: _digest(stack, default_runner, "asleep") == second)
    stack.wait_for(default_runner, "asleep", reason="ScaledToZero")
    assert stack.runner_pods(default_runner, "asleep") == []
    stack.kubectl("scale", "-n", default_runner, "deployment/asleep", "--replicas=1")
    stack.wait_for(default_runner, "asleep", reason="Ready")
    assert _digest(stack, default_runner, "asleep") == second


def test_source_that_does_not_answer_a_refresh_changes_nothing(
    stack: Stack, default_runner: str, registry: RegistryProcess
) -> None:
    """The tag is gone: the model serves on, Ready and Cached stay True, an event tells why."""
    digest = _push(registry, stack.weights, "ai/going:v1")
    stack.apply(manifests.model(default_runner, "going", _source(registry, "ai/going:v1")))
    stack.wait_for(default_runner, "going", ready=True)
    shutil.rmtree(registry.folder / "docker/registry/v2/repositories/ai/going/_manifests/tags")
    _refresh(stack, default_runner, "going", "1")

    def told() -> bool:
        events = stack.objects("events", default_runner)
        return any(
            one["reason"] == "RefreshFailed" and one["regarding"]["name"] == "going"
            for one in events
        )

    stack.wait("an event RefreshFailed", told)
    found = stack.wait_for(default_runner, "going", ready=True)
    assert condition(found, "Cached")["status"] == "True"
    assert found["status"]["artifact"]["digest"] == digest


def _refresh(stack: Stack, namespace: str, name: str, value: str) -> None:
    """As the guide says."""
    stack.kubectl("annotate", "-n", namespace, "model", name, f"modelrunner.dev/refresh={value}")


def _digest(stack: Stack, namespace: str, name: str) -> str:
    found = stack.get("models", namespace, name) or {}
    return str(found.get("status", {}).get("artifact", {}).get("digest", ""))


def _claims(stack: Stack, namespace: str) -> list[str]:
    return [one["metadata"]["name"] for one in stack.objects("persistentvolumeclaims", namespace)]


def _source(registry: RegistryProcess, name: str) -> Object:
    return {"oci": {"reference": registry.reference(name), "insecure": True}}


def _push(registry: RegistryProcess, weights: Path, name: str) -> str:
    """Package and push a model; the artifact's digest."""
    command = [sys.executable, "-m", "runnerd", "package", os.fspath(weights)]
    plain = {k: v for k, v in os.environ.items() if not k.upper().endswith("_PROXY")}
    done = subprocess.run(
        [*command, "--push", registry.reference(name), "--insecure"],
        env=plain,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["digest"])


@contextmanager
def _asking(stack: Stack, namespace: str, name: str) -> Iterator[list[str]]:
    """What the model answers through the gateway, asked again and again while the block runs.

    Yields "" for an answer and the words of a failure.
    """
    told: list[str] = []
    enough = threading.Event()

    def ask() -> None:
        with gateway_client(stack) as client:
            while not enough.is_set():
                body = chat(f"{namespace}/{name}", max_tokens=4)
                answer = client.post(CHAT, json=body)
                told.append("" if answer.is_success else f"{len(told)}: {answer.text}")

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield told
    finally:
        enough.set()
        thread.join()
