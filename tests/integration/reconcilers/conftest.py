"""Reconcilers against a real API server; the test plays kubelet and controllers by hand."""

from collections.abc import AsyncIterator

import pytest

from modelrunner.kube.client import KubeClient
from tests.cluster.control_plane import ControlPlane
from tests.integration.reconcilers.bench import WRITES, Bench
from tests.support.kubeapi import KubeApi
from tests.support.namespaces import fresh_namespace


@pytest.fixture
async def bench(control_plane: ControlPlane, api: KubeApi) -> AsyncIterator[Bench]:
    """Both reconcilers over a namespace of their own."""
    namespace = fresh_namespace(api)
    async with await KubeClient.connected(
        kubeconfig=str(control_plane.kubeconfig), writes=WRITES
    ) as client:
        yield Bench(api, client, namespace)
    api.delete("v1", "Namespace", namespace)
