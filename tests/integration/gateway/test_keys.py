"""API keys from the command that makes them to the request that is refused."""

import subprocess
import sys
from collections.abc import Callable

import httpx
import pytest
import yaml

from tests.integration.gateway.worlds import SECRET, World
from tests.support.gateway_process import GatewayProcess
from tests.support.runner_process import RunnerProcess

pytestmark = pytest.mark.control_plane

Gateways = Callable[..., GatewayProcess]


@pytest.fixture
def gateway(gateways: Gateways, world: World, runner: RunnerProcess) -> GatewayProcess:
    """A gateway that asks for keys."""
    world.model("smol")
    world.model("other")
    world.endpoint("smol", runner.port)
    return gateways(MODELRUNNER_GATEWAY_API_KEYS="true").serving()


def make_key(world: World, name: str, *arguments: str) -> str:
    """Run `modelrunner api-key`, apply its Secret; the key."""
    command = [sys.executable, "-m", "modelrunner", "api-key", "--name", name, *arguments]
    made = subprocess.run(command, capture_output=True, check=True, text=True)
    secret = yaml.safe_load(made.stdout)
    secret["metadata"]["namespace"] = world.namespace
    world.api.create(secret)
    return made.stderr.strip()


def ask(gateway: GatewayProcess, path: str, key: str = "", **body: object) -> httpx.Response:
    """A chat, or a GET where there is no body."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    url = f"{gateway.url}{path}"
    if not body:
        return httpx.get(url, headers=headers, trust_env=False, timeout=60)
    return httpx.post(
        url, json={"messages": [], **body}, headers=headers, trust_env=False, timeout=60
    )


CHAT = "/v1/chat/completions"


def test_a_key_opens_what_it_is_for(gateway: GatewayProcess, world: World) -> None:
    """Without one nothing but probes is told; with one its models, and they alone."""
    assert ask(gateway, CHAT, model="smol").status_code == 401
    assert ask(gateway, "/v1/models").status_code == 401
    assert ask(gateway, "/metrics").status_code == 401
    assert ask(gateway, "/healthz").status_code == 200
    assert ask(gateway, "/version").status_code == 200
    assert gateway.probe("/metrics")[0] == 200
    key = make_key(world, "team-a", "--models", f"{world.namespace}/smol")
    gateway.wait("the key", lambda: ask(gateway, "/v1/models", key).status_code == 200)
    assert [one["id"] for one in ask(gateway, "/v1/models", key).json()["data"]] == ["smol"]
    assert ask(gateway, "/v1/models/other", key).status_code == 404
    assert ask(gateway, CHAT, key, model="smol").status_code == 200
    assert ask(gateway, CHAT, key, model="other").status_code == 403
    assert ask(gateway, CHAT, "wrong", model="smol").status_code == 401
    anthropic = httpx.post(
        f"{gateway.url}/v1/messages",
        json={"model": "smol", "messages": []},
        headers={"x-api-key": "wrong"},
        trust_env=False,
        timeout=60,
    )
    assert anthropic.json()["error"]["type"] == "authentication_error"
    gateway.wait("the access log", lambda: {"team-a"} <= {one["key"] for one in gateway.accesses})
    assert {line["key"] for line in gateway.accesses if line["key"]} == {"team-a"}
    assert key not in gateway.log


def test_a_client_cannot_widen_its_view(gateway: GatewayProcess, world: World) -> None:
    """The header between routing and the back office is not the client's to send."""
    key = make_key(world, "narrow", "--models", "elsewhere/*")
    gateway.wait("the key", lambda: ask(gateway, "/v1/models", key).status_code == 200)
    answer = httpx.get(
        f"{gateway.url}/v1/models",
        headers={"Authorization": f"Bearer {key}", "X-Modelrunner-Models": "*"},
        trust_env=False,
        timeout=60,
    )
    assert answer.json()["data"] == []


def test_a_key_is_revoked_in_the_middle(
    gateway: GatewayProcess, world: World, runner: RunnerProcess
) -> None:
    """What it began goes on to its end; the next request is refused."""
    key = make_key(world, "short-lived")
    gateway.wait("the key", lambda: ask(gateway, "/v1/models", key).status_code == 200)
    runner.shut()
    body = {"model": "smol", "stream": True, "messages": [], "script": "gated_stream"}
    headers = {"Authorization": f"Bearer {key}"}
    url = f"{gateway.url}{CHAT}"
    with httpx.stream(
        "POST", url, json=body, headers=headers, trust_env=False, timeout=60
    ) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("data: ")
        world.api.delete(*SECRET, "short-lived", world.namespace)
        gateway.wait(
            "the key's end", lambda: ask(gateway, CHAT, key, model="smol").status_code == 401
        )
        runner.open()
        assert [line for line in lines if line] == ["data: [DONE]"]


def test_a_keys_limits_hold(gateway: GatewayProcess, world: World) -> None:
    """429 with Retry-After, for that key only."""
    few = make_key(world, "few", "--requests-per-minute", "2")
    many = make_key(world, "many")
    gateway.wait("the keys", lambda: ask(gateway, "/v1/models", many).status_code == 200)
    answers = [ask(gateway, CHAT, few, model="smol") for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert ask(gateway, CHAT, many, model="smol").status_code == 200
