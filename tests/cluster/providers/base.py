"""What every provider of a cluster can do."""

import abc
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType

from tests.cluster import build as builds
from tests.cluster.errors import ClusterError
from tests.cluster.progress import Progress


class Provider(abc.ABC):
    """One way to have a cluster for tests."""

    name: str
    # Whether this machine reaches pods and Services by their addresses.
    routes_pods: bool = False
    # Node ports of Services that are reached on this machine's loopback, with their port there.
    published_ports: Mapping[int, int] = MappingProxyType({})

    # Whether the node is ours: `reboot_node` and `cut_off` work.
    owns_node: bool = False

    @property
    @abc.abstractmethod
    def kubeconfig(self) -> Path:
        """Path of the kubeconfig; valid also while the cluster is down."""

    @property
    @abc.abstractmethod
    def host_address(self) -> str:
        """The IP address at which pods reach servers of this machine.

        Raises:
            ClusterError: it is not known; the message says how to tell it.
        """

    @property
    def program_folders(self) -> Sequence[Path]:
        """Folders with kubectl and helm that go before PATH; none while nothing was built."""
        build = builds.newest()
        return (build.programs,) if build else ()

    @abc.abstractmethod
    def running(self) -> bool:
        """Whether the cluster is up."""

    @abc.abstractmethod
    def up(self, progress: Progress) -> None:
        """Bring it up; nothing happens, and that is told, when it is up."""

    @abc.abstractmethod
    def down(self, progress: Progress) -> None:
        """Take it down and remove all it left; nothing happens when it is not there."""

    def cut_off(self) -> AbstractContextManager[Callable[[], int]]:
        """Pods reach nothing beyond the node and this machine, while the block runs.

        Yields a count of the packets that wanted to go further since then.

        Raises:
            ClusterError: this provider's nodes are not ours.
        """
        raise ClusterError(f"the nodes of a cluster of kind {self.name!r} are not cut off by tests")

    def reboot_node(self) -> None:
        """Cut the power of the one node and start it again; returns before its pods are back.

        Raises:
            ClusterError: this provider's nodes are not ours to end.
        """
        raise ClusterError(
            f"the nodes of a cluster of kind {self.name!r} are not rebooted by tests"
        )

    @abc.abstractmethod
    def load_images(self, archives: Sequence[Path], progress: Progress) -> None:
        """Make the images of these OCI archives known to the nodes, under the names they hold."""

    @abc.abstractmethod
    def details(self) -> Sequence[str]:
        """Lines for `status`: versions, processes, whatever helps on a bad day."""
