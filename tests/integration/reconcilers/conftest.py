"""Reconcilers against a real API server; the test plays kubelet and controllers by hand."""

import secrets
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml

from modelrunner.kube.client import KubeClient
from tests.cluster.control_plane import ControlPlane
from tests.cluster.waiting import wait_until
from tests.integration.reconcilers.bench import WRITES, Bench
from tests.support.kubeapi import KubeApi, Refused

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane) -> Iterator[KubeApi]:
    """An administrator's client, with our CRDs installed."""
    with KubeApi.connect(control_plane.kubeconfig) as connected:
        for path in sorted((ROOT / "crds").glob("*.yaml")):
            connected.apply(yaml.safe_load(path.read_text("utf-8")))
        for kind in ("Model", "ModelRunner"):
            wait_until(f"the kind {kind}", partial(_served, connected, kind), seconds=30)
        yield connected


@pytest.fixture
async def bench(control_plane: ControlPlane, api: KubeApi) -> AsyncIterator[Bench]:
    """Both reconcilers over a namespace of their own."""
    namespace = f"t-{secrets.token_hex(4)}"
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    async with await KubeClient.connected(
        kubeconfig=str(control_plane.kubeconfig), writes=WRITES
    ) as client:
        yield Bench(api, client, namespace)
    api.delete("v1", "Namespace", namespace)


def _served(api: KubeApi, kind: str) -> bool:
    api._plurals.clear()
    try:
        return api.list("modelrunner.dev/v1alpha1", kind) == []
    except (KeyError, Refused):
        return False
