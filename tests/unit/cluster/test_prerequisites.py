"""Complaints about a machine say what to do."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.cluster import prerequisites
from tests.cluster.errors import ClusterError
from tests.cluster.progress import Progress
from tests.cluster.providers.embedded import EmbeddedCluster

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"
V1 = "".join(
    f"{number} 23 0:{number} / /sys/fs/cgroup/{name} rw - cgroup cgroup rw,{name}\n"
    for number, name in enumerate(
        ["cpu,cpuacct", "cpuset", "memory", "pids", "devices", "freezer", "blkio"], start=40
    )
)
HYBRID = V1 + "60 23 0:60 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"


@pytest.mark.parametrize("mountinfo", [V2, V1, HYBRID])
def test_both_cgroup_versions_do(mountinfo: str) -> None:
    """Version 1, version 2 and the mixture of both."""
    assert prerequisites.cgroup_problem(mountinfo) is None


def test_no_cgroups() -> None:
    """The command that mounts them is named."""
    problem = prerequisites.cgroup_problem("22 1 0:1 / / rw - ext4 /dev/vda rw\n")
    assert problem
    assert "mount -t cgroup2" in problem


def test_a_missing_controller_is_named() -> None:
    """Version 1 is mounted controller by controller, so only the missing ones are told."""
    problem = prerequisites.cgroup_problem(V1.replace("memory", "net_cls"))
    assert problem
    assert "controllers memory are not mounted" in problem


@pytest.mark.parametrize(
    ("version", "enough"),
    [("go1.26.6", True), ("go1.27rc1", True), ("go1.26.8 X:exp", True), ("go1.26.5", False),
     ("go1.9", False), ("devel", False)],
)  # fmt: skip
def test_go_version(version: str, enough: bool) -> None:
    """Compared by numbers, not by letters; the complaint names both and GOTOOLCHAIN."""
    problem = prerequisites.go_problem(version, (1, 26, 6))
    assert (problem is None) is enough
    if problem:
        assert version in problem
        assert "Go 1.26.6" in problem
        assert "GOTOOLCHAIN=local" in problem


def test_no_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Go the message says what to install."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ClusterError, match=r"install Go 1\.26\.\d+ or newer"):
        prerequisites.check_go()


def test_go_that_refuses_the_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old Go with GOTOOLCHAIN=local fails by itself; its words stay beside our advice."""
    program = tmp_path / "go"
    program.write_text("#!/bin/sh\necho 'go.mod requires go >= 1.26.6' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ClusterError, match=r"(?s)unset GOTOOLCHAIN=local.*requires go >= 1\.26\.6"):
        prerequisites.check_go()


def test_not_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is told at once, not after a build of ten minutes, and nothing was made."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ClusterError, match="run this as root"):
        EmbeddedCluster(tmp_path / "run").up(Progress())
    assert not (tmp_path / "run").exists()


def test_a_folder_with_too_long_a_name() -> None:
    """A socket's name is bounded by the kernel; the error of a program that meets that is not."""
    assert prerequisites.path_problem(Path("/tmp/model-runner-operator")) is None
    problem = prerequisites.path_problem(Path("/tmp") / ("x" * 90))
    assert problem
    assert "MODEL_RUNNER_RUN" in problem


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The folder, what is needed, what is free, and the variables that move it."""
    usage = SimpleNamespace(free=4_000_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ClusterError, match=r"needs 15 GB .*4\.0 GB.*MODEL_RUNNER_CACHE"):
        prerequisites.check_build_space([tmp_path / "not/yet/there"], first=True)
    prerequisites.check_build_space([tmp_path], first=False)


def test_a_network_that_is_taken() -> None:
    """Two clusters with equal addresses would answer for each other."""
    free = "default via 192.0.2.1 dev eth0\n192.0.2.0/24 dev eth0 scope link\n"
    assert prerequisites.route_problem(free) is None
    problem = prerequisites.route_problem(free + "10.96.0.0/16 via 10.1.1.1 dev other0\n")
    assert problem
    assert "10.96.0.0/16" in problem
    assert "other0" in problem
