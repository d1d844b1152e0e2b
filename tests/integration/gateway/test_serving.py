"""What clients get from a gateway process, from the socket to the runner's engine and back."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.integration.gateway.worlds import World
from tests.support.gateway_process import GatewayProcess
from tests.support.runner_process import RunnerProcess

pytestmark = pytest.mark.control_plane

Gateways = Callable[..., GatewayProcess]


@pytest.fixture
def gateway(gateways: Gateways, world: World, runner: RunnerProcess) -> GatewayProcess:
    """A gateway that serves the model smol."""
    world.model("smol", aliases=["gpt-x"])
    world.endpoint("smol", runner.port)
    return gateways().serving()


def chat(gateway: GatewayProcess, **more: object) -> httpx.Response:
    """One chat."""
    body = {"model": "smol", "messages": [], **more}
    return httpx.post(f"{gateway.url}/v1/chat/completions", json=body, trust_env=False, timeout=60)


@pytest.mark.parametrize(
    "path",
    ["/v1/chat/completions", "/engines/v1/chat/completions", "/engines/llama.cpp/v1/completions"],
)
def test_a_request_reaches_its_engine_whole(gateway: GatewayProcess, path: str) -> None:
    """Under each spelling of the path and of the model, and without the client's credentials."""
    url = f"{gateway.url}{path}"
    for name in ("smol", "gpt-x", "ai/smol", "docker.io/ai/smol:latest"):
        answer = httpx.post(
            url,
            json={"model": name, "messages": [{"role": "user", "content": "é" * 3000}]},
            headers={
                "Authorization": "Bearer of-the-client",
                "Cookie": "a=b",
                "X-Request-Id": "r7",
            },
            trust_env=False,
            timeout=60,
        )
        told = answer.json()
        assert answer.status_code == 200
        assert told["body"]["messages"][0]["content"] == "é" * 3000
        sent = {header.lower() for header in told["headers"]}
        assert not {"authorization", "cookie"} & sent
        assert answer.headers["X-Request-Id"] == "r7"
        assert answer.headers["Server-Timing"]


def test_a_stream_comes_as_it_is_made(gateway: GatewayProcess, runner: RunnerProcess) -> None:
    """The first event is here while the engine still holds back the last."""
    runner.shut()
    body = {"model": "smol", "stream": True, "messages": [], "script": "gated_stream"}
    url = f"{gateway.url}/v1/chat/completions"
    with httpx.stream("POST", url, json=body, trust_env=False, timeout=60) as answer:
        events = answer.iter_lines()
        assert next(events).startswith("data: {")
        runner.open()
        assert [line for line in events if line] == ["data: [DONE]"]


def test_models_are_listed_through_the_front(gateway: GatewayProcess) -> None:
    """Names, aliases, one by %2F, HEAD, and 404 for what is not there."""
    with httpx.Client(base_url=gateway.url, trust_env=False, timeout=60) as http:
        listed = http.get("/engines/v1/models").json()
        assert [one["id"] for one in listed["data"]] == ["gpt-x", "smol"]
        assert listed["data"][0]["dmr"]["context_window"] == 2048
        assert http.get("/v1/models/ai%2Fsmol").json()["id"] == "ai/smol"
        assert http.head("/v1/models").status_code == 200
        assert http.get("/v1/models/nothing").json()["error"]["code"] == "model_not_found"
        assert http.get("/nope").status_code == 404
        wrong = http.delete("/v1/models")
        assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET, HEAD")
        assert http.get("/").text.startswith("Docker Model Runner is running\n")


def test_no_models_is_an_empty_list(gateways: Gateways) -> None:
    """A gateway of an empty namespace is ready, and says so."""
    gateway = gateways().serving()
    answer = httpx.get(f"{gateway.url}/v1/models", trust_env=False, timeout=60)
    assert (answer.status_code, answer.json()) == (200, {"object": "list", "data": []})


def test_errors_are_in_the_callers_words(gateway: GatewayProcess) -> None:
    """OpenAI's and Anthropic's, from routing and from the front alike."""
    body = {"model": "nothing", "messages": []}
    openai = httpx.post(
        f"{gateway.url}/v1/chat/completions", json=body, trust_env=False, timeout=60
    )
    assert openai.json()["error"]["code"] == "model_not_found"
    anthropic = httpx.post(
        f"{gateway.url}/anthropic/v1/messages", json=body, trust_env=False, timeout=60
    )
    assert anthropic.json()["error"]["type"] == "not_found_error"
    large = httpx.post(
        f"{gateway.url}/v1/messages", content=b" " * (40 << 20), trust_env=False, timeout=30
    )
    assert (large.status_code, large.json()["error"]["type"]) == (413, "request_too_large")


def test_what_happens_is_seen_at_once(gateway: GatewayProcess, world: World) -> None:
    """A Model that is made can be asked, one that is deleted cannot; its series go with it."""
    assert chat(gateway).status_code == 200
    # What was answered is counted a moment later.
    gateway.wait(
        "the request", lambda: gateway.metric("requests_total", model="smol", status="2xx") == 1
    )
    world.delete("smol")
    gateway.wait("the model's end", lambda: chat(gateway).status_code == 404)
    assert gateway.metric("requests_total", model="smol") == 0
    gateway.wait("404", lambda: gateway.metric("requests_total", model="", status="4xx") >= 1)
    world.model("later")
    gateway.wait(
        "another model",
        lambda: (
            httpx.get(f"{gateway.url}/v1/models/later", trust_env=False, timeout=60).status_code
            == 200
        ),
    )


def test_metrics_tell_of_requests_and_never_of_unknown_names(gateway: GatewayProcess) -> None:
    """By model, route, dialect and status; a thousand wrong names are one series."""
    chat(gateway, stream=True, script="usage_stream")
    for number in range(20):
        chat(gateway, model=f"unknown-{number}")
    gateway.wait(
        "the last request", lambda: gateway.metric("rejected_total", code="model_not_found") == 20
    )
    assert gateway.metric("requests_total", model="smol", route="chat_completions") == 1
    assert gateway.metric("first_token_seconds_count", model="smol") == 1
    assert gateway.metric("endpoints", model="smol", state="ready") == 1
    gateway.wait("a look at the loop", lambda: gateway.metric("loop_lag_seconds_count") > 0)
    assert gateway.metric("models") == 1
    page = gateway.probe("/metrics")[1]
    assert "unknown-" not in page
    assert 'loop="uvloop"' in page
    public = httpx.get(f"{gateway.url}/metrics", trust_env=False, timeout=60)
    assert "modelrunner_gateway_requests_total" in public.text


def test_the_access_log_tells_all_but_what_is_secret(gateway: GatewayProcess) -> None:
    """One line for each request; no body, no credential, no query."""
    secret = "of-the-client"
    httpx.post(
        f"{gateway.url}/v1/chat/completions?token={secret}",
        json={"model": "smol", "messages": [{"role": "user", "content": secret}]},
        headers={"Authorization": f"Bearer {secret}", "X-Request-Id": "mine-1"},
        trust_env=False,
        timeout=60,
    )
    httpx.get(f"{gateway.url}/v1/models", trust_env=False, timeout=60)
    gateway.wait("two lines", lambda: len(gateway.accesses) == 2)
    first, second = gateway.accesses
    assert first["requestId"] == "mine-1"
    assert first["model"].endswith("/smol")
    assert (first["status"], first["route"], first["client"]) == (
        200,
        "chat_completions",
        "127.0.0.1",
    )
    assert first["endpoint"] == "smol-1-pod"
    assert 0 < first["seconds"] < 60
    assert (second["route"], second["model"], second["endpoint"]) == (
        "back_office",
        "",
        "back-office",
    )
    assert secret not in json.dumps(gateway.accesses) + gateway.log


def test_a_runner_that_dies_is_passed_over(
    gateway: GatewayProcess, world: World, tmp_path: Path
) -> None:
    """Its endpoint is still listed; the other one answers, and nobody notices."""
    with RunnerProcess("smol", tmp_path / "second") as second:
        world.endpoint("smol", second.port)
        gateway.wait(
            "two endpoints", lambda: gateway.metric("endpoints", model="smol", state="ready") == 2
        )
        assert {chat(gateway).status_code for _ in range(4)} == {200}
    assert {chat(gateway).status_code for _ in range(8)} == {200}


def test_what_an_idle_gateway_takes(gateway: GatewayProcess) -> None:
    """Printed for the record; the bound is only there to notice a leak at the start."""
    megabytes = gateway.probe("/metrics")[1].split("process_resident_memory_bytes ")[-1]
    resident = float(megabytes.split()[0]) / 1e6
    print(f"gateway, idle: {resident:.0f} MB resident")
    assert resident < 250
