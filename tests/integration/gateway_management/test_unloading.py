"""Models that are sent to sleep: real runners in front of scripted engines."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from modelrunner_protocol.runner import STATUS_PATH
from tests.integration.gateway.worlds import World
from tests.integration.gateway_management.homes import Home
from tests.support.addresses import pod_addresses
from tests.support.kubeapi import KubeApi
from tests.support.runner_process import RunnerProcess

__all__ = ["pod_addresses"]

pytestmark = pytest.mark.control_plane


def keep_alive(runner: RunnerProcess) -> float | None:
    """What the runner was asked for last."""
    url = f"http://127.0.0.1:{runner.port}{STATUS_PATH}"
    found: float | None = httpx.get(url, trust_env=False, timeout=60).json().get("keepAlive")
    return found


def test_runners_are_told_to_go(
    home: Home, api: KubeApi, pod_addresses: Callable[[], str], tmp_path: Path
) -> None:
    """By name, all of them, or those of an engine; the operator stops who is idle then."""
    world = World(api, home.namespace, pod_addresses)
    with RunnerProcess("smol", tmp_path / "runner") as runner:
        world.model("smol", keepAlive="5m", status={"lastUsedTime": "2026-07-01T12:00:00Z"})
        world.model("asleep")
        world.endpoint("smol", runner.port)
        # Models and their pods are watched each by itself.
        home.gateway.wait("both Models", lambda: home.gateway.metric("models") == 2)
        home.gateway.wait("a ready runner", lambda: home.ask("GET", "/engines/ps").json())
        assert home.ask("GET", "/engines/ps").json() == [
            {
                "backend_name": "llama.cpp",
                "model_name": "smol",
                "mode": "completion",
                "last_used": "2026-07-01T12:00:00Z",
                "keep_alive": "5m0s",
            }
        ]
        assert home.ask("GET", "/engines/status").json()["llama.cpp"] == (
            "Running: 1 of 2 models have a ready runner"
        )
        for body, count in (
            ({"models": ["asleep"]}, 0),
            ({"all": True, "backend": "vllm"}, 0),
            ({"models": ["ai/smol", "smol", "asleep"]}, 1),
            ({"all": True}, 1),
        ):
            assert keep_alive(runner) != 0
            answer = home.ask("POST", "/engines/unload", json=body)
            assert answer.json() == {"unloaded_runners": count}, body
            if count:
                assert keep_alive(runner) == 0
                chat = {"model": "smol", "messages": [], "keep_alive": "1m"}
                home.ask("POST", "/v1/chat/completions", json=chat)
        assert home.ask("POST", "/engines/_unload", json={"model": "smol"}).status_code == 200
        assert keep_alive(runner) == 0
