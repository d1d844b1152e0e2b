"""Which folder the one embedded cluster of this machine belongs to.

Its addresses, link and cgroup are fixed, so there can be only one, whatever MODEL_RUNNER_RUN says.
"""

import contextlib
import os
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.settings import LINK, NAME

# What must be undone is written down here, not in the cluster's own folder, which somebody may
# remove as any folder in /tmp; and it is gone after a reboot, which undoes everything itself.
RUNTIME_FOLDER = Path(f"/run/{NAME}")
RECORD = RUNTIME_FOLDER / "owner"


def check(run_folder: Path, record: Path = RECORD) -> None:
    """Raise a ClusterError when another run folder's cluster is up or left over."""
    owner = _owner(record)
    if owner not in {None, run_folder}:
        raise ClusterError(
            f"the embedded cluster of {owner} is up on this machine, and there can be only one. "
            f"Take it down first: MODEL_RUNNER_RUN={owner} python -m tests.cluster down"
        )
    if owner is None and Path(f"/sys/class/net/{LINK}").exists():
        raise ClusterError(
            f"the network link {LINK} is there, but not from a cluster that is known here: "
            f"remove it with `ip link del {LINK}`"
        )


def claim(run_folder: Path, record: Path = RECORD) -> None:
    """Take the machine for the cluster of `run_folder`; raise a ClusterError when it is taken."""
    check(run_folder, record)
    if ours(run_folder, record):
        return
    record.parent.mkdir(exist_ok=True)
    partial = record.with_name(f"{record.name}.{os.getpid()}")
    partial.write_text(str(run_folder), encoding="utf-8")
    try:
        record.hardlink_to(partial)  # unlike a rename it fails when somebody else was faster
    except FileExistsError:
        check(run_folder, record)
    finally:
        partial.unlink()


def ours(run_folder: Path, record: Path = RECORD) -> bool:
    """Whether the machine is taken by the cluster of `run_folder`."""
    return _owner(record) == run_folder


def release(run_folder: Path, record: Path = RECORD) -> None:
    """Give the machine free, if it is ours."""
    if ours(run_folder, record):
        record.unlink()
        with contextlib.suppress(OSError):  # something else lies in it
            record.parent.rmdir()


def _owner(record: Path) -> Path | None:
    """The run folder written down."""
    try:
        return Path(record.read_text(encoding="utf-8"))
    except OSError:
        return None
