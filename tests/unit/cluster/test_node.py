"""What a node writes, and what is undone when it goes."""

import json
from pathlib import Path

import pytest

from tests.cluster.errors import ClusterError
from tests.cluster.node import cgroups, sysctls
from tests.cluster.node.configuration import write_files

SETTING = "fs/inotify/max_user_instances"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A small /proc/sys."""
    root = tmp_path / "sys"
    for name in (SETTING, "kernel/panic"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("128\n")
    return root


def test_settings_are_put_back(proc: Path, tmp_path: Path) -> None:
    """Ours and those that the kubelet changes."""
    record = tmp_path / "sysctls.json"
    sysctls.remember(record, proc)
    sysctls.raise_limits(proc)
    (proc / "kernel/panic").write_text("10\n")
    assert (proc / SETTING).read_text() == "1024"
    sysctls.put_back(record, proc)
    assert (proc / SETTING).read_text() == "128"
    assert (proc / "kernel/panic").read_text() == "128"


def test_a_second_start_does_not_remember_changed_values(proc: Path, tmp_path: Path) -> None:
    """After a crash the machine's own values are those of before the first start."""
    record = tmp_path / "sysctls.json"
    sysctls.remember(record, proc)
    sysctls.raise_limits(proc)
    sysctls.remember(record, proc)
    sysctls.put_back(record, proc)
    assert (proc / SETTING).read_text() == "128"


def test_limits_are_never_lowered(proc: Path) -> None:
    """A machine that allows more keeps it."""
    (proc / SETTING).write_text("9999\n")
    sysctls.raise_limits(proc)
    assert (proc / SETTING).read_text() == "9999\n"


def test_nothing_remembered_nothing_put_back(proc: Path, tmp_path: Path) -> None:
    """A record that is missing or cut short changes nothing."""
    sysctls.put_back(tmp_path / "missing", proc)
    (tmp_path / "short").write_text("{")
    sysctls.put_back(tmp_path / "short", proc)
    assert (proc / SETTING).read_text() == "128\n"


def test_cgroups_v1(tmp_path: Path) -> None:
    """A group in every hierarchy, one for a pair of linked names, with the parent's CPUs."""
    for name in ("cpu,cpuacct", "cpuset", "memory"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.clone_children").write_text("0")
    (tmp_path / "cpu").symlink_to("cpu,cpuacct")
    (tmp_path / "unified/group/kubepods").mkdir(parents=True)
    cgroups.create(tmp_path, "group")
    assert (tmp_path / "memory/group").is_dir()
    (tmp_path / "memory/group/kubepods/burstable").mkdir(parents=True)
    cgroups.remove(tmp_path, "group")
    assert not list(tmp_path.glob("*/group"))


def test_cgroups_v2(tmp_path: Path) -> None:
    """The controllers are handed down and the one group is removed."""
    for name in ("cgroup.controllers", "cgroup.subtree_control"):
        (tmp_path / name).write_text("")
    cgroups.create(tmp_path, "group")
    assert (tmp_path / "cgroup.subtree_control").read_text().startswith("+")
    assert (tmp_path / "group").is_dir()
    cgroups.remove(tmp_path, "group")
    assert not (tmp_path / "group").exists()


def test_cgroups_v2_that_cannot_be_handed_down(tmp_path: Path) -> None:
    """In a container with its own cgroup namespace the kernel says busy; the message says how."""
    (tmp_path / "cgroup.controllers").write_text("")
    (tmp_path / "cgroup.subtree_control").mkdir()
    with pytest.raises(ClusterError, match="--cgroupns=host"):
        cgroups.create(tmp_path, "group")


def test_a_group_with_a_process_is_not_given_up_silently(tmp_path: Path) -> None:
    """`down` fails rather than leave a group behind unsaid."""
    (tmp_path / "group").mkdir()
    (tmp_path / "group/process").write_text("")
    with pytest.raises(ClusterError, match="removal of the cgroups group"):
        cgroups.remove(tmp_path, "group", seconds=0.1)


def test_every_file_is_filled_in(tmp_path: Path) -> None:
    """No placeholder is left, JSON is JSON, and the first process is executable."""
    part = {name: tmp_path / name for name in ("pki", "logs", "programs", "cni", "volumes")}
    init = write_files(
        tmp_path / "node",
        part["pki"],
        part["logs"],
        part["programs"],
        part["cni"],
        part["volumes"],
    )
    assert init.stat().st_mode & 0o111
    files = [file for file in (tmp_path / "node").rglob("*") if file.is_file()]
    assert len(files) == 7
    for file in files:
        text = file.read_text()
        assert not any(f"@{name}@" in text for name in ("FOLDER", "NODE", "PKI", "LOGS", "CNI"))
        if file.suffix in {".json", ".conflist"}:
            json.loads(text)
    kubelet = json.loads((tmp_path / "node/kubelet.json").read_text())
    assert kubelet["cgroupRoot"] == "/model-runner-operator"
