"""A sleeping model is woken by a request to a gateway process, which waits for it."""

import json
import socket
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.integration.gateway.worlds import READY, World
from tests.support.gateway_process import GatewayProcess
from tests.support.runner_process import RunnerProcess

pytestmark = pytest.mark.control_plane

DEPLOYMENT = ("apps/v1", "Deployment")
ASLEEP = {
    "phase": "Idle",
    "replicas": 0,
    "conditions": [
        {
            **READY,
            "reason": "ScaledToZero",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
            "observedGeneration": 1,
        }
    ],
    "startup": {"scheduledSeconds": 0.1, "engineSeconds": 0.3, "totalSeconds": 0.6},
}


def deployment(namespace: str, name: str) -> dict[str, Any]:
    """A Deployment of no replicas, whose pods nothing could run."""
    labels = {"app": name}
    container = {"name": "runner", "image": "registry.invalid/runner"}
    return {
        "apiVersion": DEPLOYMENT[0],
        "kind": DEPLOYMENT[1],
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def test_a_request_wakes_its_model_and_is_answered(
    gateways: Callable[..., GatewayProcess], world: World, runner: RunnerProcess
) -> None:
    """Scaled 0→1 once for many clients; all are answered when the runner is there."""
    world.model("smol", status=ASLEEP)
    world.api.create(deployment(world.namespace, "smol"))
    gateway = gateways().serving()
    answers: list[httpx.Response] = []

    def ask() -> None:
        body = {"model": "smol", "messages": [], "script": "chat"}
        url = f"{gateway.url}/v1/chat/completions"
        answers.append(httpx.post(url, json=body, trust_env=False, timeout=240))

    def replicas() -> int:
        found = world.api.get(*DEPLOYMENT, "smol", world.namespace)
        assert found is not None
        return int(found["spec"]["replicas"])

    clients = [threading.Thread(target=ask) for _ in range(8)]
    for client in clients:
        client.start()
    gateway.wait("the scale", lambda: replicas() == 1)
    gateway.wait("all to wait", lambda: gateway.metric("held", model="smol") == 8)
    world.endpoint("smol", runner.port)
    for client in clients:
        client.join()
    assert [one.status_code for one in answers] == [200] * 8
    assert all(float(one.headers["X-Model-Cold-Start"]) > 0 for one in answers)
    gateway.wait("its end", lambda: gateway.metric("wakes_total", result="ready") == 1)
    assert gateway.metric("api_writes_total", verb="patch") == 1
    assert gateway.metric("cold_start_seconds_count", model="smol") == 1
    assert gateway.metric("hold_seconds_count", model="smol") == 8
    assert gateway.metric("held") == 0
    assert gateway.metric("cold_start_stage_seconds", model="smol", stage="engine") == 0.3
    gateway.wait("the access log", lambda: len(gateway.accesses) == 8)
    assert all(line["heldSeconds"] > 0 for line in gateway.accesses)


def test_a_stream_is_kept_alive_until_its_answer(
    gateways: Callable[..., GatewayProcess], world: World, runner: RunnerProcess
) -> None:
    """A sign of life while the model wakes, then the answer in the same stream."""
    world.model("smol", status=ASLEEP)
    world.api.create(deployment(world.namespace, "smol"))
    gateway = gateways().serving()
    body = {"model": "smol", "messages": [], "stream": True, "script": "chat"}
    url = f"{gateway.url}/v1/chat/completions"
    with httpx.stream("POST", url, json=body, trust_env=False, timeout=60) as answer:
        lines = (line for line in answer.iter_lines() if line)
        assert next(lines) == ": waking"
        world.endpoint("smol", runner.port)
        events = [line for line in lines if line.startswith("data: ")]
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert len(events) == 4
    assert events[-1] == "data: [DONE]"


def test_a_model_that_cannot_wake_says_so(
    gateways: Callable[..., GatewayProcess], world: World
) -> None:
    """In the stream of who waits, at once to who comes later, with the Model's own words."""
    world.model("smol", status=ASLEEP)
    world.api.create(deployment(world.namespace, "smol"))
    gateway = gateways().serving()
    body = {"model": "smol", "messages": [], "stream": True}
    url = f"{gateway.url}/v1/chat/completions"
    told = "no node has a GPU that is free"
    with httpx.stream("POST", url, json=body, trust_env=False, timeout=60) as answer:
        lines = (line for line in answer.iter_lines() if line)
        assert next(lines) == ": waking"
        world.stalled("smol", "Unschedulable", told)
        (event,) = [line for line in lines if line.startswith("data: ")]
    assert told in json.loads(event.removeprefix("data: "))["error"]["message"]
    later = httpx.post(url, json={**body, "stream": False}, trust_env=False, timeout=60)
    assert (later.status_code, later.json()["error"]["code"]) == (503, "Unschedulable")
    assert told in later.json()["error"]["message"]
    gateway.wait("the end", lambda: gateway.metric("wakes_total", result="failed") == 1)
    gateway.wait("both", lambda: gateway.metric("rejected_total", code="Unschedulable") == 2)


def test_a_client_that_leaves_gives_up_its_place(
    gateways: Callable[..., GatewayProcess], world: World
) -> None:
    """And the wake that it caused goes on."""
    world.model("smol", status=ASLEEP)
    world.api.create(deployment(world.namespace, "smol"))
    gateway = gateways().serving()
    place = urlsplit(gateway.url)
    body = b'{"model": "smol", "messages": []}'
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((place.hostname, place.port)) as client:
        client.sendall(head.encode() + body)
        gateway.wait("a place", lambda: gateway.metric("held", model="smol") == 1)
    gateway.wait("its place", lambda: gateway.metric("held", model="smol") == 0)
    gateway.wait("its line", lambda: len(gateway.accesses) == 1)
    (line,) = gateway.accesses
    assert (line["outcome"], line["status"]) == ("client_left", 0)
    gateway.wait(
        "its count", lambda: gateway.metric("requests_total", model="smol", status="none") == 1
    )
    gateway.wait("the scale", lambda: gateway.metric("api_writes_total", verb="patch") == 1)
