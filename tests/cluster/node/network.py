"""The link between the machine and the node's network namespace.

The namespace has no name: it ends with the node's last process, and the link and the routes
with it, so a crash leaves nothing behind.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.commands import run, succeeds
from tests.cluster.settings import (
    HOST_ADDRESS,
    LINK,
    NODE_ADDRESS,
    POD_NETWORK,
    SERVICE_NETWORK,
)
from tests.cluster.waiting import wait_until

_INSIDE = "uplink0"


def connect(pid: int) -> None:
    """Give the network namespace of process `pid` a link, addresses and routes, both ways."""
    namespace = Path(f"/proc/{pid}/ns/net")
    ours = Path("/proc/self/ns/net").readlink()
    wait_until("the node's network namespace", lambda: namespace.readlink() != ours, interval=0.01)
    for arguments in (
        f"link add {LINK} type veth peer name {_INSIDE} netns {pid}",
        f"addr add {HOST_ADDRESS}/30 dev {LINK}",
        f"link set {LINK} up",
        f"route add {POD_NETWORK} via {NODE_ADDRESS}",
        f"route add {SERVICE_NETWORK} via {NODE_ADDRESS}",
    ):
        run("ip", *arguments.split())
    inside = ("nsenter", f"--net={namespace}")
    for arguments in (
        "link set lo up",
        f"addr add {NODE_ADDRESS}/30 dev {_INSIDE}",
        f"link set {_INSIDE} up",
        f"route add default via {HOST_ADDRESS}",
    ):
        run(*inside, "ip", *arguments.split())
    run(
        *inside,
        "sysctl",
        "-qw",
        "net.ipv4.ip_forward=1",
        "net.bridge.bridge-nf-call-iptables=1",
        "net.ipv4.conf.all.route_localnet=1",
    )


@contextmanager
def cut_off(pid: int) -> Iterator[Callable[[], int]]:
    """No way out of the node of process `pid` but to this machine, while the block runs.

    Yields a count of the packets of pods that found no way since then.
    """
    inside = ("nsenter", f"--net=/proc/{pid}/ns/net")
    run(*inside, "ip", "route", "del", "default")
    try:
        before = _lost(pid)
        yield lambda: _lost(pid) - before
    finally:
        run(*inside, "ip", "route", "add", "default", "via", HOST_ADDRESS)


def _lost(pid: int) -> int:
    """Packets that the network namespace of a process was to forward and had no route for."""
    lines = Path(f"/proc/{pid}/net/netstat").read_text("ascii").splitlines()
    names, values = (line.split() for line in lines if line.startswith("IpExt:"))
    return int(dict(zip(names, values, strict=True))["InNoRoutes"])


def disconnect(seconds: float = 10) -> None:
    """Remove the link and with it the routes, if the end of the namespace did not already."""
    # Beside the namespace's own teardown, which may win the race.
    run("sh", "-c", f"ip link del {LINK} 2>/dev/null || true")
    wait_until(f"removal of the link {LINK}", lambda: not connected(), seconds=seconds)


def connected() -> bool:
    """Whether the link is there."""
    return succeeds("ip", "link", "show", LINK)
