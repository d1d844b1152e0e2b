"""A real kube-apiserver and etcd, started once per run for the integration and contract tests."""

from collections.abc import Iterator

import pytest

from tests.cluster.control_plane import ControlPlane


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """etcd, kube-apiserver and kube-controller-manager on loopback, shared by the whole run."""
    with ControlPlane() as plane:
        yield plane
