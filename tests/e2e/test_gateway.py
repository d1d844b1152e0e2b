"""One door for every model: through the gateway, awake and asleep."""

import concurrent.futures
import json
import time
from datetime import datetime

import httpx
import pytest

from tests.cluster.waiting import wait_until
from tests.e2e.test_spine import chat
from tests.support import manifests
from tests.support.stack import Stack, condition

pytestmark = pytest.mark.cluster

CHAT = "/v1/chat/completions"


def sleep(stack: Stack, namespace: str, name: str) -> None:
    """Send a model to zero by hand, and return when its pod is gone and its Model says so."""
    stack.kubectl("scale", "-n", namespace, f"deployment/{name}", "--replicas=0")
    stack.wait_for(namespace, name, reason="ScaledToZero")
    stack.wait(
        "no pods", lambda: not stack.objects("pods", namespace, f"modelrunner.dev/model={name}")
    )


def awake(gateway: httpx.Client, model: str) -> None:
    """Ask until the gateway, which is told by somebody else than we are, knows it is awake."""

    def warm() -> bool:
        answer = gateway.post(CHAT, json=chat(model))
        return answer.status_code == 200 and "X-Model-Cold-Start" not in answer.headers

    wait_until(f"{model} awake", warm, seconds=240)


def test_every_dialect_and_name_reaches_the_model(
    stack: Stack, default_runner: str, gateway: httpx.Client
) -> None:
    """OpenAI's, Docker Model Runner's and Anthropic's paths, the Model's names, streams."""
    alias = f"{default_runner}-alias"
    stack.apply(manifests.model(default_runner, "door", stack.http_source(), aliases=[alias]))
    stack.wait_for(default_runner, "door", ready=True)
    full = f"{default_runner}/door"
    awake(gateway, full)
    for path in (CHAT, f"/engines{CHAT}", f"/engines/llama.cpp{CHAT}"):
        for name in (full, alias, f"{alias}:latest", f"docker.io/ai/{alias}"):
            answer = gateway.post(path, json=chat(name), headers={"X-Request-Id": "asked"})
            assert answer.status_code == 200, (path, name, answer.text)
            assert answer.json()["choices"][0]["message"]["content"]
            assert answer.headers["X-Request-Id"] == "asked"
            assert "gateway;dur=" in answer.headers["Server-Timing"]
            assert "X-Model-Cold-Start" not in answer.headers
    answer = gateway.post("/anthropic/v1/messages", json=chat(full))
    assert answer.status_code == 200, answer.text
    assert answer.json()["type"] == "message"
    with gateway.stream("POST", CHAT, json=chat(full, stream=True)) as streamed:
        events = [line for line in streamed.iter_lines() if line.startswith("data: ")]
    assert events[-1] == "data: [DONE]"
    wrong = gateway.post(f"/engines/vllm{CHAT}", json=chat(full))
    assert wrong.status_code in {400, 404}
    assert "llama.cpp" in wrong.json()["error"]["message"]


def test_catalogue_lists_sleeping_models(
    stack: Stack, default_runner: str, gateway: httpx.Client
) -> None:
    """A model at zero is listed and described like one that runs; an unknown one is a 404."""
    stack.apply(manifests.model(default_runner, "listed", stack.http_source()))
    stack.wait_for(default_runner, "listed", ready=True)
    sleep(stack, default_runner, "listed")
    for prefix in ("/v1", "/engines/v1", "/engines/llama.cpp/v1"):
        found = gateway.get(f"{prefix}/models").json()
        assert any("listed" in one["id"] for one in found["data"]), found
        one = gateway.get(f"{prefix}/models/{default_runner}%2Flisted")
        assert one.status_code == 200
        assert one.json()["object"] == "model"
        missing = gateway.get(f"{prefix}/models/no-such-model")
        assert missing.status_code == 404
        assert missing.json()["error"]["message"]
    unknown = gateway.post(CHAT, json=chat("no-such-model"))
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")


def test_first_request_wakes_a_sleeping_model(
    stack: Stack, default_runner: str, gateway: httpx.Client
) -> None:
    """The request waits, is answered in full, and is told that it met a cold start."""
    stack.apply(manifests.model(default_runner, "sleeper", stack.http_source()))
    stack.wait_for(default_runner, "sleeper", ready=True)
    sleep(stack, default_runner, "sleeper")
    answer = gateway.post(CHAT, json=chat(f"{default_runner}/sleeper"))
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"]
    assert float(answer.headers["X-Model-Cold-Start"]) > 0
    stack.wait_for(default_runner, "sleeper", reason="Ready")


def test_hundred_clients_at_zero_make_one_wake(
    stack: Stack, default_runner: str, gateway_address: str
) -> None:
    """All hundred are served by the one pod that their arrival started."""
    stack.apply(manifests.model(default_runner, "crowd", stack.http_source()))
    stack.wait_for(default_runner, "crowd", ready=True)
    sleep(stack, default_runner, "crowd")
    body = chat(f"{default_runner}/crowd", max_tokens=1)

    def ask(_: int) -> int:
        return httpx.post(
            gateway_address + CHAT, json=body, timeout=300, trust_env=False
        ).status_code

    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        statuses = list(pool.map(ask, range(100)))
    assert statuses == [200] * 100
    deployment = stack.get("deployments", default_runner, "crowd")
    assert deployment is not None
    assert deployment["spec"]["replicas"] == 1
    assert len(stack.runner_pods(default_runner, "crowd")) == 1


def test_idle_model_goes_to_zero_by_its_keep_alive(
    stack: Stack, default_runner: str, gateway: httpx.Client
) -> None:
    """Used, then left alone: zero after keepAlive, healthy, with the time of its last use."""
    stack.apply(manifests.model(default_runner, "idler", stack.http_source(), keepAlive="3s"))
    stack.wait_for(default_runner, "idler", ready=True)
    began = time.time()
    assert gateway.post(CHAT, json=chat(f"{default_runner}/idler")).status_code == 200

    def used_and_asleep() -> bool:
        # It may have slept before it was asked, too, and its status may still say so.
        found = stack.wait_for(default_runner, "idler", reason="ScaledToZero")
        return _seconds(found["status"].get("lastUsedTime")) >= int(began)

    stack.wait("its sleep after its use", used_and_asleep)
    assert time.time() - began >= 3
    found = stack.wait_for(default_runner, "idler", reason="ScaledToZero")
    assert condition(found, "Ready")["status"] == "True"
    assert found["status"]["phase"] == "Idle"
    assert "idleDeadline" not in found["status"]
    assert gateway.post(CHAT, json=chat(f"{default_runner}/idler")).status_code == 200


def test_keep_alive_of_a_request_overrides_the_models(
    stack: Stack, default_runner: str, gateway: httpx.Client
) -> None:
    """`keep_alive: 0` in a body unloads a model that would have stayed for ever."""
    stack.apply(manifests.model(default_runner, "told", stack.http_source(), keepAlive="-1"))
    stack.wait_for(default_runner, "told", ready=True)
    answer = gateway.post(CHAT, json=chat(f"{default_runner}/told", keep_alive=0))
    assert answer.status_code == 200, answer.text
    stack.wait_for(default_runner, "told", reason="ScaledToZero")


def test_running_stream_outlives_the_keep_alive(
    stack: Stack, default_runner: str, gateway: httpx.Client
) -> None:
    """A model is not idle while it generates, however short its keepAlive."""
    stack.apply(manifests.model(default_runner, "busy", stack.http_source(), keepAlive="0"))
    stack.wait_for(default_runner, "busy", ready=True)
    body = chat(f"{default_runner}/busy", stream=True, max_tokens=1500, ignore_eos=True)
    with gateway.stream("POST", CHAT, json=body) as answer:
        lines = [line for line in answer.iter_lines() if line.startswith("data: ")]
    assert lines[-1] == "data: [DONE]"
    assert not any("error" in json.loads(line.removeprefix("data: ")) for line in lines[:-1])
    stack.wait_for(default_runner, "busy", reason="ScaledToZero")


def _seconds(told: str | None) -> float:
    """A time of Kubernetes in seconds since the epoch, 0 for none."""
    return datetime.fromisoformat(told).timestamp() if told else 0
