"""Ports and owners of control planes; their life is tested by those who use them."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import control_plane
from tests.cluster.control_plane import ControlPlane
from tests.cluster.errors import ClusterError
from tests.cluster.locks import try_lock
from tests.cluster.processes import Identity, Processes


@pytest.fixture
def busy_port() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_two_planes_get_different_ports(tmp_path: Path) -> None:
    """Test processes that start at once do not meet."""
    planes = [ControlPlane(folder=tmp_path) for _ in range(2)]
    taken = [plane._take_port() for plane in planes]
    assert taken[0][0] != taken[1][0]
    for _, lock in taken:
        lock.close()


def test_a_port_that_is_used_is_refused(tmp_path: Path, busy_port: int) -> None:
    """Also when only one of the five is used, by whatever program."""
    for port in (busy_port, busy_port - 3):
        with pytest.raises(ClusterError, match=f"a port of {port} to {port + 4} is taken"):
            ControlPlane(port=port, folder=tmp_path)._take_port()


def test_planes_of_ended_test_runs_are_removed(tmp_path: Path) -> None:
    """A test run that was killed leaves its processes to the next one, which ends them."""
    with subprocess.Popen(["true"]) as owner:
        identity = Identity(owner.pid, 1, "another boot")
    for port, plane_owner in ((17000, identity), (17010, Identity.of_self()), (17020, None)):
        folder = tmp_path / f"control-plane-{port}"
        folder.mkdir()
        if plane_owner:
            plane_owner.save(folder / "owner")
    orphan = Processes(tmp_path / "control-plane-17000").start("etcd", "sleep", "60")
    control_plane._remove_abandoned(tmp_path)
    assert not orphan.alive
    left = sorted(plane.port or 0 for plane in control_plane.everything(tmp_path))
    assert left == [17010, 17020]


def test_an_abandoned_plane_is_removed_by_one_process(tmp_path: Path) -> None:
    """Of two that start at once the second leaves it to the first, and goes on."""
    with subprocess.Popen(["true"]) as owner:
        identity = Identity(owner.pid, 1, "another boot")
    folder = tmp_path / "control-plane-17000"
    folder.mkdir()
    identity.save(folder / "owner")
    first = try_lock(tmp_path / "port-17000.lock")
    assert first
    control_plane._remove_abandoned(tmp_path)
    assert folder.exists()
    first.close()
    control_plane._remove_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unstarted_plane_says_so(tmp_path: Path) -> None:
    """A fixture that forgot to start it gets a sentence, not a path with None in it."""
    plane = ControlPlane(folder=tmp_path)
    with pytest.raises(ClusterError, match="was not started"):
        _ = plane.kubeconfig
    with pytest.raises(ClusterError, match="was not started"):
        plane.stop_apiserver()
    plane.stop()
