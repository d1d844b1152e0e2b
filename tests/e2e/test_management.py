"""Models that clients manage through the gateway, on the real cluster."""

import html
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.test_spine import chat
from tests.support import manifests
from tests.support.gateway import gateway_client
from tests.support.registry_process import RegistryProcess, running_registry
from tests.support.stack import Stack

pytestmark = [pytest.mark.cluster, pytest.mark.alone]


@pytest.fixture(scope="module")
def registry(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryProcess]:
    """A registry that pods reach, with the real model as ai/smollm2:v1."""
    host = stack.provider.host_address
    with running_registry(tmp_path_factory.mktemp("registry"), host=host) as running:
        command = [sys.executable, "-m", "runnerd", "package", os.fspath(stack.weights)]
        plain = {k: v for k, v in os.environ.items() if not k.upper().endswith("_PROXY")}
        done = subprocess.run(
            [*command, "--push", running.reference("ai/smollm2:v1"), "--insecure"],
            env=plain,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        yield running


@pytest.fixture(scope="module")
def home(stack: Stack, registry: RegistryProcess) -> Iterator[str]:
    """A namespace in which the gateway manages models, with a ModelRunner called default."""
    name = f"managed-{stack.run_id}"
    stack.apply(manifests.namespace(name))
    stack.apply(manifests.runner(name))
    management = "gateway.management"
    # What one gateway has written another hears of a moment later: requests that follow one
    # another at once mean one.
    stack.install(
        "gateway.replicas=1",
        f"{management}.enabled=true",
        f"{management}.namespace={name}",
        f"{management}.insecureRegistries={{{registry.address}}}",
    )
    yield name
    stack.delete("namespaces", "", name)
    stack.install()


@pytest.fixture
def managing(stack: Stack, home: str) -> Iterator[httpx.Client]:
    """A client of the gateway that manages models."""
    with gateway_client(stack) as client:
        yield client


def pull(client: httpx.Client, reference: str) -> list[dict[str, Any]]:
    """The lines of a pull, as Docker's command line reads them."""
    with client.stream("POST", "/models/create", json={"from": reference}) as answer:
        assert answer.status_code == 200, answer.read()
        return [json.loads(html.unescape(line)) for line in answer.iter_lines() if line]


def context_of(stack: Stack, namespace: str, model: str) -> int:
    """Tokens that a conversation may have, as the engine itself tells the runner at /props."""
    with stack.client(namespace, model) as runner:
        found = runner.post("/api/show", json={"model": model}).json()
    context: int = found["model_info"]["llama.context_length"]
    return context


def test_a_model_from_the_first_pull_to_its_deletion(
    stack: Stack, home: str, managing: httpx.Client, registry: RegistryProcess
) -> None:
    """Pulled with progress, asked, configured as the engine then runs, tagged and deleted."""
    reference = registry.reference("ai/smollm2:v1")
    lines = pull(managing, reference)
    assert lines[-1]["type"] == "success", lines
    assert lines[-1]["message"] == "Model pulled successfully"
    assert {line["type"] for line in lines[:-1]} <= {"progress", "warning"}
    model = "ai-smollm2-v1"
    found = stack.wait_for(home, model, ready=True)
    assert found["spec"]["source"]["oci"] == {"reference": reference, "insecure": True}
    assert found["status"]["artifact"]["sizeBytes"] == stack.weights.stat().st_size
    assert pull(managing, reference)[-1]["message"].startswith("Using cached model: ")
    answer = managing.post("/v1/chat/completions", json=chat(reference))
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"]

    (before,) = stack.runner_pods(home, model)
    body = {"model": reference, "context-size": 512, "runtime-flags": ["--threads", "1"]}
    answer = managing.post("/engines/_configure", json=body)
    assert (answer.status_code, answer.content) == (202, b"")
    (told,) = managing.get("/engines/_configure", params={"model": reference}).json()
    assert told["Config"]["context-size"] == 512

    # As long as it is there, the Service may lead to it.
    former = before["metadata"]["name"]
    stack.wait("the end of the former pod", lambda: stack.get("pods", home, former) is None)
    stack.wait_for(home, model, ready=True)
    assert context_of(stack, home, model) == 512

    tag = {"repo": "team/mine", "tag": "v1"}
    assert managing.post(f"/models/{reference}/tag", params=tag).status_code == 201
    assert managing.post("/v1/chat/completions", json=chat("team/mine:v1")).status_code == 200
    assert managing.delete("/models/team/mine:v1").json() == [{"Untagged": "team/mine:v1"}]
    gone = managing.delete(f"/models/{reference}")
    assert gone.status_code == 200, gone.text
    assert {"Untagged": reference} in gone.json()
    assert stack.get("models", home, model) is None
    stack.wait("no pods", lambda: stack.objects("pods", home) == [])


def test_a_pull_that_cannot_succeed_says_why(
    stack: Stack, home: str, managing: httpx.Client, registry: RegistryProcess
) -> None:
    """The operator's sentence is the last line; the Model stays until it is deleted."""
    reference = registry.reference("ai/smollm2:none")
    last = pull(managing, reference)[-1]
    assert last["type"] == "error", last
    assert last["message"].startswith("Error: PullFailed: ")
    assert "with the tag none" in last["message"]
    assert managing.delete(f"/models/{reference}").status_code == 200
    assert stack.get("models", home, "ai-smollm2-none") is None


def test_models_of_others_are_safe(
    stack: Stack, home: str, managing: httpx.Client, default_runner: str
) -> None:
    """One that was applied here stays when all are purged; one elsewhere is out of reach."""
    stack.apply(manifests.model(home, "applied", stack.http_source()))
    stack.apply(manifests.model(default_runner, "elsewhere", stack.http_source()))
    elsewhere = f"{default_runner}/elsewhere"
    for name in (f"{home}/applied", elsewhere):
        path = f"/models/{name}"
        stack.wait(name, lambda path=path: managing.get(path).status_code == 200)  # type: ignore[misc]  # mypy does not see the default
    assert managing.delete("/models/purge").status_code == 200
    assert managing.delete(f"/models/{home}/applied").status_code == 409
    refused = managing.delete(f"/models/{elsewhere}?force=true")
    assert (refused.status_code, home in refused.text) == (403, True)
    for namespace, name in ((home, "applied"), (default_runner, "elsewhere")):
        assert stack.get("models", namespace, name) is not None
    stack.delete("models", home, "applied")
