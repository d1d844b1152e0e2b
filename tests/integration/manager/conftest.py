"""A control plane with our CRDs, a namespace per test, operators as processes."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from tests.cluster.control_plane import ControlPlane
from tests.cluster.waiting import wait_until
from tests.integration.manager.worlds import served
from tests.support.kubeapi import KubeApi
from tests.support.operators import Operator

CRDS = Path(__file__).parents[3] / "crds"


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane) -> Iterator[KubeApi]:
    """The administrator's requests, with the CRDs installed and served."""
    with KubeApi.connect(control_plane.kubeconfig) as found:
        for file in sorted(CRDS.glob("*.yaml")):
            found.apply(yaml.safe_load(file.read_text("utf-8")))
        wait_until("our kinds", lambda: served(found))
        yield found


@pytest.fixture
def namespace(api: KubeApi) -> str:
    """A fresh namespace."""
    name = f"t-{uuid4().hex[:10]}"
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


@pytest.fixture
def operator(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Operator]:
    """An operator that is not yet started; ended with the test."""
    with Operator(control_plane.kubeconfig, namespace, tmp_path / "one") as found:
        yield found


@pytest.fixture
def another(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Operator]:
    """A second candidate for the same lease."""
    with Operator(control_plane.kubeconfig, namespace, tmp_path / "two") as found:
        yield found
