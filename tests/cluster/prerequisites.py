"""What the machine must offer, asked before anything is changed; every complaint says what to do."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tests.cluster.commands import run, succeeds
from tests.cluster.errors import ClusterError
from tests.cluster.go_programs import go_environment, required_go
from tests.cluster.settings import LINK_NETWORK, POD_NETWORK, SERVICE_NETWORK

_GB = 1_000_000_000
FIRST_BUILD_SPACE = 15 * _GB
LATER_BUILD_SPACE = 3 * _GB
RUN_SPACE = 3 * _GB
_LONGEST_RUN_FOLDER = 107 - len("/cluster/node/containerd.sock.ttrpc")
_V1_CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "pids", "devices", "freezer")


def check_root() -> None:
    """Raise a ClusterError unless this is root."""
    if os.geteuid() != 0:
        raise ClusterError(
            "the embedded cluster makes network namespaces, mounts and cgroups: run this as root "
            "(or start Docker, install kind, and it will be used instead)"
        )


def check_machine(run_folder: Path) -> None:
    """Raise one ClusterError that lists everything the machine lacks to run a node."""
    questions: Sequence[Callable[[], str | None]] = (
        lambda: cgroup_problem(Path("/proc/self/mountinfo").read_text(encoding="utf-8")),
        lambda: path_problem(run_folder),
        _network_problem,
        _bridge_problem,
        lambda: _overlay_problem(run_folder),
        lambda: space_problem([run_folder], RUN_SPACE, "a running node"),
        lambda: route_problem(run("ip", "-4", "route", "show", "table", "all")),
    )
    if problems := [problem for ask in questions if (problem := ask())]:
        raise ClusterError(
            "this machine cannot run the embedded cluster:\n- " + "\n- ".join(problems)
        )


def check_go() -> None:
    """Raise a ClusterError unless a Go that is new enough is installed."""
    wanted = ".".join(map(str, required_go()))
    if not shutil.which("go"):
        raise ClusterError(
            f"Go is not installed, and Kubernetes is built with it: install Go {wanted} or newer "
            "(from your distribution or the Go project) and put it in PATH"
        )
    version = go_environment_or_explain(wanted)
    if problem := go_problem(version, required_go()):
        raise ClusterError(problem)


def go_environment_or_explain(wanted: str) -> str:
    """The version `go` reports, such as go1.26.8; its refusal explained."""
    try:
        return go_environment()["GOVERSION"]
    except ClusterError as error:
        raise ClusterError(
            f"Go {wanted} or newer is needed: install it, or unset GOTOOLCHAIN=local so that your "
            f"Go (1.21 or newer) fetches it by itself.\n{error}"
        ) from error


def go_problem(version: str, wanted: tuple[int, ...]) -> str | None:
    """What is wrong with a Go version such as `go1.26.8`; None when it is new enough."""
    found = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", version)
    if found and tuple(int(part or 0) for part in found.groups()) >= wanted:
        return None
    return (
        f"Go {'.'.join(map(str, wanted))} or newer is needed, this is {version}: install a newer "
        "one, or unset GOTOOLCHAIN=local so that it fetches one by itself"
    )


def check_build_space(folders: Iterable[Path], first: bool) -> None:
    """Raise a ClusterError when a disk is too full to build on."""
    needed, what = (FIRST_BUILD_SPACE, "a first build") if first else (LATER_BUILD_SPACE, "a build")
    if problem := space_problem(folders, needed, what):
        raise ClusterError(problem)


def space_problem(folders: Iterable[Path], needed: int, what: str) -> str | None:
    """Which of these folders lies on a disk with less than `needed` bytes free."""
    for folder in folders:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(there).free
        if free < needed:
            return (
                f"{what} needs {needed / _GB:.0f} GB on the disk of {folder}, {free / _GB:.1f} GB "
                "are free: make room, or set MODEL_RUNNER_CACHE, MODEL_RUNNER_RUN, GOCACHE or "
                "GOMODCACHE to a larger disk"
            )
    return None


def cgroup_problem(mountinfo: str) -> str | None:
    """What is wrong with the cgroups in the text of /proc/self/mountinfo; both versions do."""
    hierarchies = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup"):
            hierarchies[before.split()[4]] = (after.split()[0], set(after.split()[2].split(",")))
    if hierarchies.get("/sys/fs/cgroup", ("",))[0] == "cgroup2":
        return None
    mounted = {
        c for kind, controllers in hierarchies.values() if kind == "cgroup" for c in controllers
    }
    absent = [name for name in _V1_CONTROLLERS if name not in mounted]
    if not absent:
        return None
    if mounted:
        return (
            f"the cgroup v1 controllers {', '.join(absent)} are not mounted under /sys/fs/cgroup: "
            "mount them (mount -t cgroup -o NAME cgroup /sys/fs/cgroup/NAME) or boot with cgroup v2"
        )
    return (
        "no cgroups are mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup (in a container: start "
        "it with --privileged)"
    )


def path_problem(run_folder: Path) -> str | None:
    """Whether a socket in this folder would have a name longer than the kernel's 107 bytes."""
    if len(os.fsencode(run_folder)) <= _LONGEST_RUN_FOLDER:
        return None
    return (
        f"{run_folder} is too long a name for the sockets in it: set MODEL_RUNNER_RUN to a folder "
        f"of at most {_LONGEST_RUN_FOLDER} letters"
    )


def _network_problem() -> str | None:
    probe = (
        "ip link add probe0 type veth peer name probe1 && ip link set probe0 up "
        "&& nft add table ip probe && nft delete table ip probe"
    )
    try:
        run("unshare", "--net", "sh", "-ec", probe, timeout=20)
    except ClusterError as error:
        return (
            "no network namespace with a veth pair and nftables can be made; load the kernel "
            "modules veth and nf_tables, and run as real root (in a container: with --privileged)."
            f" {error}"
        )
    return None


def _bridge_problem() -> str | None:
    """Pods on one bridge reach a Service of each other only with br_netfilter."""
    if not Path("/proc/sys/net/bridge").exists():
        succeeds("modprobe", "br_netfilter")
    if not succeeds("unshare", "--net", "test", "-e", "/proc/sys/net/bridge"):
        return "the kernel module br_netfilter is missing: load it with modprobe br_netfilter"
    return None


def _overlay_problem(folder: Path) -> str | None:
    """Really mount one: overlay on overlay, as in most containers, is refused only then."""
    succeeds("modprobe", "overlay")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="probe-", dir=folder) as name:
        place = Path(name)
        for part in ("lower", "upper", "work", "merged"):
            (place / part).mkdir()
        layers = f"lowerdir={place}/lower,upperdir={place}/upper,workdir={place}/work"
        mount = ("mount", "-t", "overlay", "overlay", "-o", layers, place / "merged")
        try:
            run("unshare", "--mount", "--propagation", "private", *mount)
        except ClusterError as error:
            return (
                f"overlayfs cannot be mounted in {folder}: load the kernel module overlay, or set "
                f"MODEL_RUNNER_RUN to a folder on ext4 or xfs (in a container: a volume). {error}"
            )
    return None


def route_problem(routes: str) -> str | None:
    """Whether one of our networks is taken, in the text of `ip route show table all`."""
    ours = {LINK_NETWORK, POD_NETWORK, SERVICE_NETWORK}
    for line in routes.splitlines():
        if line.split()[0] in ours:
            return (
                f"the network {line.split()[0]} is already routed here ({line.strip()}): another "
                "cluster uses it; take that down first"
            )
    return None
