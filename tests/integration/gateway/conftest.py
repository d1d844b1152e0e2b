"""A real kube-apiserver, real gateways, and real runners in front of scripted engines."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.integration.gateway.worlds import World
from tests.support.addresses import pod_addresses
from tests.support.gateway_process import GatewayProcess
from tests.support.kubeapi import KubeApi
from tests.support.runner_process import RunnerProcess

__all__ = ["pod_addresses"]


@pytest.fixture
def world(api: KubeApi, pod_addresses: Callable[[], str]) -> World:
    """A fresh namespace."""
    name = f"t-{uuid4().hex[:10]}"
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return World(api, name, pod_addresses)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunnerProcess]:
    """A runner of a model called `smol`, shared by the tests of a module."""
    with RunnerProcess(
        "smol", tmp_path_factory.mktemp("runner") / "r", aliases=("gpt-x",)
    ) as found:
        yield found


@pytest.fixture
def gateways(
    control_plane: ControlPlane, world: World, tmp_path: Path
) -> Iterator[Callable[..., GatewayProcess]]:
    """`gateways("a", SETTING="x")` makes a gateway that is not started; ended with the test."""
    with ExitStack() as stack:

        def make(name: str = "gateway", **environment: str) -> GatewayProcess:
            made = GatewayProcess(
                control_plane.kubeconfig, world.namespace, tmp_path / name, **environment
            )
            return stack.enter_context(made)

        yield make
