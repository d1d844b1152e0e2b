"""Docker's command line for models, unmodified, against a stand-alone server."""

import json
from functools import partial

import pytest

from tests.support.clients.driving import Desk
from tests.support.serving import Serving

pytestmark = pytest.mark.engine

NAME = "ai/smollm2"
# For what leaves traces: other tests look at the first one's context.
OTHER = "ai/embeddinggemma"


def test_looks_around(desk: Desk, server: Serving) -> None:
    """Status, version, list in each of its forms, one model."""
    model = partial(desk.docker_model, server.url)
    assert "Docker Model Runner is running" in model("status")
    status = json.loads(model("status", "--json"))
    assert (status["running"], status["endpoint"]) == (True, f"{server.url}/v1/")
    assert status["backends"]["llama.cpp"].startswith("Running")
    assert "Server:" in model("version")
    for words in (("list",), ("list", "smollm2"), ("list", NAME)):
        assert "134.52" in model(*words)
    names = [one["id"] for one in json.loads(model("list", "--openai"))["data"]]
    assert f"{NAME}:latest" in names
    found = json.loads(model("inspect", NAME))
    assert found["tags"] == [f"{NAME}:latest"]
    assert found["id"].startswith("sha256:")
    assert json.loads(model("inspect", found["id"]))["tags"] == found["tags"]
    assert json.loads(model("inspect", "--openai", NAME))["id"] == f"{NAME}:latest"
    assert "MiB" in model("df") or "MB" in model("df")


def test_runs_a_model(desk: Desk, server: Serving) -> None:
    """A prompt is answered; the model then is there until it is unloaded."""
    model = partial(desk.docker_model, server.url)
    assert model("run", NAME, "What is the capital of France?").strip()
    running = model("ps")
    assert "smollm2" in running
    assert "llama.cpp" in running
    kept = json.loads(model("requests", "--model", NAME))
    assert kept[0]["records"][-1]["user_agent"].startswith("docker-model-cli")
    assert "Unloaded 1" in model("unload", NAME)
    assert "smollm2" not in model("ps")
    assert "No such model" in model("unload", NAME)
    assert model("run", "--detach", NAME) is not None
    assert "smollm2" in model("ps")
    model("unload", "--all")
    assert "No models are running" in model("unload", "--all")


def test_configures_a_model(desk: Desk, server: Serving) -> None:
    """What is configured is shown, and is what the engine runs with."""
    model = partial(desk.docker_model, server.url)
    model("configure", "--context-size", "1024", OTHER, "--", "--temp", "0.1")
    (shown,) = json.loads(model("configure", "show", OTHER))
    assert shown["Config"]["context-size"] == 1024
    assert shown["Config"]["runtime-flags"] == ["--temp", "0.1"]
    model("run", OTHER, "Hi")
    with server.http as http:
        told = http.get(f"/v1/models/{OTHER}").json()
    assert told["dmr"]["context_window"] == 1024
    refused = desk.docker_model_refuses(
        server.url, "configure", OTHER, "--", "--model-path", "/etc/passwd"
    )
    assert "--model-path" in refused
    assert "400" in refused


def test_manages_models(desk: Desk, server: Serving) -> None:
    """Pull with progress and without, tag, remove by name and by force."""
    model = partial(desk.docker_model, server.url)
    assert "Model pulled successfully" in model("pull", "ai/pulled")
    assert "Using cached model" in model("pull", "ai/pulled")
    assert "tagged successfully" in model("tag", "ai/pulled", "ai/renamed:v2")
    assert "renamed" in model("list")
    assert "Untagged: " in model("rm", "ai/renamed:v2")
    removed = model("rm", "--force", "ai/pulled")
    assert "Deleted: sha256:" in removed
    assert "pulled" not in model("list")


def test_is_refused(desk: Desk, server: Serving) -> None:
    """Each fault is told in words that a person can act on."""
    refuses = partial(desk.docker_model_refuses, server.url)
    assert "no-such-model" in refuses("inspect", "ai/no-such-model")
    assert "no such model" in refuses("rm", "ai/no-such-model")
    pulled = refuses("pull", "ai/no-such-model")
    assert "404" in pulled
    assert "no-such-model" in pulled
    assert "no-such-model" in refuses("run", "ai/no-such-model", "Hi")
    assert "no-such-model" in refuses("tag", "ai/no-such-model", "ai/other")


def test_reads_logs(desk: Desk, server: Serving) -> None:
    """What the server wrote."""
    assert "listening" in desk.docker_model(server.url, "logs")
