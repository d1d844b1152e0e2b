"""A control plane with our CRDs, a namespace per test, operators as processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.support.kubeapi import KubeApi
from tests.support.namespaces import fresh_namespace
from tests.support.operators import Operator


@pytest.fixture
def namespace(api: KubeApi) -> str:
    """A fresh namespace."""
    return fresh_namespace(api)


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
