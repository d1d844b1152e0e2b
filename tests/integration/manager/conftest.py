"""A control plane with our CRDs, a namespace per test, operators as processes."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.support.kubeapi import KubeApi
from tests.support.operators import Operator


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
