"""A namespace per test, and route tables fed by the real API server."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import yaml

from tests.cluster.control_plane import ControlPlane
from tests.integration.gateway_table.worlds import World, fed
from tests.support.kubeapi import KubeApi
from tests.support.namespaces import fresh_namespace
from tests.support.wire import Wire

Feeding = Callable[..., Awaitable[World]]


@pytest.fixture
def namespace(api: KubeApi) -> str:
    """A fresh namespace."""
    return fresh_namespace(api)


@pytest.fixture
async def feeding(control_plane: ControlPlane, api: KubeApi) -> AsyncIterator[Feeding]:
    """Makes tables that are fed until the end of the test; `worlds.fed` has the options."""
    async with AsyncExitStack() as stack:

        async def make(*namespaces: str, kubeconfig: Path | None = None, **times: float) -> World:
            file = kubeconfig or control_plane.kubeconfig
            return await stack.enter_async_context(fed(api, file, *namespaces, **times))

        yield make


@pytest.fixture
async def wire(control_plane: ControlPlane) -> AsyncIterator[Wire]:
    """A wire to the API server, which a test can cut without anybody else noticing."""
    assert control_plane.port is not None
    async with Wire.to(control_plane.port) as found:
        yield found


@pytest.fixture
def wired(control_plane: ControlPlane, wire: Wire, tmp_path: Path) -> Path:
    """The administrator's kubeconfig, by way of the wire."""
    config = yaml.safe_load(control_plane.kubeconfig.read_text("utf-8"))
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{wire.port}"
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config), "utf-8")
    return file
