"""Ollama's own Python client against a gateway process."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import ollama
import pytest

from tests.integration.gateway.test_waking import ASLEEP, DEPLOYMENT, deployment
from tests.integration.gateway.worlds import World
from tests.support.gateway_process import GatewayProcess
from tests.support.runner_process import RunnerProcess

pytestmark = pytest.mark.control_plane

Gateways = Callable[..., GatewayProcess]


def script(name: str) -> list[dict[str, str]]:
    """A chat whose engine follows this script."""
    return [{"role": "user", "content": f"script: {name}"}]


@pytest.fixture
def gateway(gateways: Gateways, world: World, runner: RunnerProcess) -> GatewayProcess:
    """A gateway that serves the model smol."""
    world.model("smol", aliases=["gpt-x"])
    world.endpoint("smol", runner.port)
    return gateways().serving()


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[ollama.Client]:
    """Ollama's client."""
    with ollama.Client(gateway.url, trust_env=False, timeout=60) as found:
        yield found


def test_chats(client: ollama.Client, gateway: GatewayProcess) -> None:
    """Text, thoughts, tools, streamed and not; what they cost is counted."""
    whole = client.chat("gpt-x", script("think"))
    assert (whole.model, whole.message.content, whole.message.thinking) == ("gpt-x", "so", "hm")
    assert (whole.done_reason, whole.eval_count) == ("stop", 11)
    parts = list(client.chat("smol:latest", script("think"), stream=True))
    assert [part.message.content for part in parts] == ["", "so", ""]
    assert parts[0].message.thinking == "hm"
    assert (parts[-1].done, parts[-1].prompt_eval_count) == (True, 7)
    for stream in (False, True):
        more: dict[str, Any] = {"stream": stream}
        told: Any = client.chat("smol", script("tools"), **more)
        found = [told] if not stream else list(told)
        calls = [call for part in found for call in part.message.tool_calls or []]
        assert [(call.function.name, call.function.arguments) for call in calls] == [
            ("w", {"city": "Rome"}),
            ("t", {}),
        ]
    gateway.wait("the access log", lambda: len(gateway.accesses) == 4)
    assert {line["dialect"] for line in gateway.accesses} == {"ollama"}
    assert [line["stream"] for line in gateway.accesses] == [False, True, False, True]


def test_lists(client: ollama.Client, gateway: GatewayProcess) -> None:
    """What there is, what runs, what one is."""
    assert [one.model for one in client.list().models] == ["gpt-x:latest", "smol:latest"]
    (running,) = client.ps().models
    assert (running.model, running.context_length) == ("smol:latest", 2048)
    shown = client.show("gpt-x")
    assert shown.modelinfo is not None
    assert shown.modelinfo["llama.context_length"] == 2048
    assert shown.capabilities == ["completion"]
    # The runner has read the weights; the cluster has not.
    assert shown.template == "{{ messages }}"
    with httpx.Client(base_url=gateway.url, trust_env=False, timeout=60) as http:
        assert "Ollama is running" in http.get("/").text
        assert http.head("/").status_code == 200
        assert http.get("/api/version").json()["version"] >= "0.12"


def test_errors(client: ollama.Client, gateway: GatewayProcess) -> None:
    """With their status, in one sentence; those within a stream are raised, too."""
    for stream in (False, True):
        with pytest.raises(ollama.ResponseError, match="model 'nope' not found") as raised:
            list(client.chat("nope", script("think"), stream=stream))
        assert raised.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="not found"):
        client.show("nope")
    with pytest.raises(ollama.ResponseError, match="Kubernetes") as raised:
        client.delete("smol")
    assert raised.value.status_code == 403
    with pytest.raises(ollama.ResponseError, match="mode completion"):
        client.embed("smol", "x")
    with pytest.raises(ollama.ResponseError, match="the grammar broke"):
        list(client.chat("smol", script("error_in_stream"), stream=True))
    answer = httpx.get(f"{gateway.url}/api/chat", trust_env=False, timeout=60)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_load_and_unload(
    client: ollama.Client, gateway: GatewayProcess, world: World, runner: RunnerProcess
) -> None:
    """A runner is told; a model that sleeps goes on sleeping."""
    assert client.generate("smol", keep_alive="1h").done_reason == "load"
    assert client.generate("smol", keep_alive=0).done_reason == "unload"
    status = httpx.get(f"http://127.0.0.1:{runner.port}/status", trust_env=False, timeout=60).json()
    assert status["keepAlive"] == 0
    world.model("asleep", status=ASLEEP)
    gateway.wait("another model", lambda: len(client.list().models) == 3)
    assert client.chat("asleep", keep_alive=0).done_reason == "unload"
    assert gateway.metric("api_writes_total", verb="patch") == 0
    assert [one.model for one in client.ps().models] == ["smol:latest"]


def test_a_stream_wakes_its_model(gateways: Gateways, world: World, runner: RunnerProcess) -> None:
    """While it wakes the client gets pieces without text, and then the answer."""
    world.model("smol", status=ASLEEP)
    world.api.create(deployment(world.namespace, "smol"))
    gateway = gateways().serving()
    pieces: list[ollama.ChatResponse] = []
    begun = threading.Event()

    def ask() -> None:
        with ollama.Client(gateway.url, trust_env=False, timeout=60) as client:
            for piece in client.chat("smol", script("think"), stream=True):
                pieces.append(piece)
                begun.set()

    asking = threading.Thread(target=ask)
    asking.start()
    assert begun.wait(120)
    first = pieces[0]
    assert (first.model, first.message.content, first.done) == ("smol", "", False)
    world.endpoint("smol", runner.port)
    asking.join(120)
    assert "".join(piece.message.content or "" for piece in pieces) == "so"
    assert pieces[-1].done_reason == "stop"
    found = world.api.get(*DEPLOYMENT, "smol", world.namespace)
    assert found is not None
    assert found["spec"]["replicas"] == 1


def test_a_model_that_does_not_wake(gateways: Gateways, world: World) -> None:
    """An opened stream ends in a line that the client raises; else it is a 503."""
    activation = {"maxHeld": 10, "timeoutSeconds": 6}
    world.model("smol", status={**ASLEEP, "activation": activation})
    world.api.create(deployment(world.namespace, "smol"))
    gateway = gateways().serving()
    body: dict[str, Any] = {"model": "smol", "messages": script("think")}
    answer = httpx.post(f"{gateway.url}/api/chat", json=body, trust_env=False, timeout=60)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    *pieces, last = [json.loads(line) for line in answer.text.splitlines()]
    assert pieces
    assert "could not take this request" in last["error"]
    body["stream"] = False
    answer = httpx.post(f"{gateway.url}/api/chat", json=body, trust_env=False, timeout=60)
    assert (answer.status_code, list(answer.json())) == (503, ["error"])
    assert answer.headers["Retry-After"]
