"""A client of the real API server, and a namespace per test."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from modelrunner.kube.client import KubeClient
from modelrunner.kube.resources import NAMESPACES, Resource
from tests.cluster.control_plane import ControlPlane

ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")


@pytest.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[KubeClient]:
    """The administrator's client."""
    async with await KubeClient.connected(kubeconfig=str(control_plane.kubeconfig)) as found:
        yield found


@pytest.fixture
async def namespace(client: KubeClient) -> str:
    """A fresh namespace that takes pods; the control plane's end is its end."""
    name = f"t-{uuid4().hex[:10]}"
    await client.create(NAMESPACES, None, {"metadata": {"name": name}}, field_manager="tests")
    async with asyncio.timeout(120):
        while await client.get(ACCOUNTS, name, "default") is None:  # noqa: ASYNC110 - it is not ours to tell
            await asyncio.sleep(0.05)
    return name
