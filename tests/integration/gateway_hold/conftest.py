"""A gateway, a namespace and pods for each test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.integration.gateway_hold.worlds import Pod, World, gateway
from tests.integration.gateway_table.conftest import wire, wired
from tests.support.addresses import pod_address, pod_addresses
from tests.support.kubeapi import KubeApi
from tests.support.namespaces import fresh_namespace

__all__ = ["pod_address", "pod_addresses", "wire", "wired"]


@pytest.fixture
def namespace(api: KubeApi) -> str:
    """A fresh namespace."""
    return fresh_namespace(api)


@pytest.fixture
async def world(control_plane: ControlPlane, api: KubeApi, namespace: str) -> AsyncIterator[World]:
    """A gateway that serves the namespace."""
    async with gateway(api, control_plane.kubeconfig, namespace) as found:
        yield found


@pytest.fixture
async def pods() -> AsyncIterator[Callable[..., Awaitable[Pod]]]:
    """Makes runners that listen at an address until the test ends; options as fields of Pod."""
    async with AsyncExitStack() as stack:

        async def make(address: str, **fields: Any) -> Pod:
            pod = await Pod(**fields).listen(address)
            stack.push_async_callback(pod.end)
            return pod

        yield make
