"""The API server goes away while models serve."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.cluster.control_plane import ControlPlane
from tests.integration.gateway.worlds import World
from tests.support.gateway_process import GatewayProcess
from tests.support.kubeapi import KubeApi
from tests.support.planes import install_kinds
from tests.support.runner_process import RunnerProcess

pytestmark = pytest.mark.control_plane


def test_what_is_known_goes_on_being_served(
    runner: RunnerProcess, pod_addresses: Callable[[], str], tmp_path: Path
) -> None:
    """Ready and serving without it; a gateway that starts then is not ready, and says why."""
    with ControlPlane(controllers=False) as plane:
        with KubeApi.connect(plane.kubeconfig) as api:
            install_kinds(api)
            space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "t"}}
            api.create(space)
            world = World(api, "t", pod_addresses)
            world.model("smol")
            world.model("asleep")
            world.endpoint("smol", runner.port)
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_bytes(plane.kubeconfig.read_bytes())
        with GatewayProcess(plane.kubeconfig, "t", tmp_path / "one") as gateway:
            gateway.serving()
            plane.stop()
            gateway.wait("trouble", lambda: gateway.probe("/readyz")[1].get("trouble"))
            assert gateway.probe("/readyz")[0] == 200
            with httpx.Client(base_url=gateway.url, trust_env=False, timeout=60) as http:
                for _ in range(20):
                    body = {"model": "smol", "messages": []}
                    assert http.post("/v1/chat/completions", json=body).status_code == 200
                assert len(http.get("/v1/models").json()["data"]) == 2
            with GatewayProcess(kubeconfig, "t", tmp_path / "two") as late:
                late.start()
                # It is not ready before it has tried, either: then it has no trouble to tell yet.
                late.wait("its first answer", lambda: late.probe("/readyz")[0])
                late.wait("its trouble", lambda: late.probe("/readyz")[1].get("trouble"))
                status, told = late.probe("/readyz")
                assert (status, "Cannot connect" in told["trouble"]) == (503, True)
                assert late.probe("/healthz")[0] == 200
                late.terminate()
                assert late.end() == 0
            gateway.terminate()
            assert gateway.end() == 0
