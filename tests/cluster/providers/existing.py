"""A cluster that somebody else runs, named by MODEL_RUNNER_TEST_KUBECONFIG."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster import marker
from tests.cluster.commands import run, succeeds
from tests.cluster.errors import ClusterError
from tests.cluster.progress import Progress
from tests.cluster.providers.base import Provider

KUBECONFIG = "MODEL_RUNNER_TEST_KUBECONFIG"
LOAD_COMMAND = "MODEL_RUNNER_TEST_LOAD_COMMAND"
HOST_ADDRESS = "MODEL_RUNNER_TEST_HOST_ADDRESS"


class ExistingCluster(Provider):
    """Uses the cluster, never starts or ends it, and refuses one that is not marked for tests."""

    name = "existing"

    def __init__(self, environment: Mapping[str, str], kubectl: str | Path) -> None:
        self._environment = environment
        self._kubectl = kubectl

    @property
    def kubeconfig(self) -> Path:
        """The one the user named."""
        return Path(self._environment[KUBECONFIG]).absolute()

    @property
    def host_address(self) -> str:
        """What the user told."""
        if address := self._environment.get(HOST_ADDRESS):
            return address
        raise ClusterError(
            f"set {HOST_ADDRESS} to the IP address at which pods of that cluster reach this machine"
        )

    def running(self) -> bool:
        """Whether its API server is ready."""
        return self.kubeconfig.is_file() and succeeds(
            self._kubectl, f"--kubeconfig={self.kubeconfig}", "get", "--raw=/readyz", timeout=20
        )

    def up(self, progress: Progress) -> None:
        """Check the mark; the cluster itself is not touched."""
        if not self.kubeconfig.is_file():
            raise ClusterError(f"{KUBECONFIG} names {self.kubeconfig}, which is not there")
        marker.require(self._kubectl, self.kubeconfig)
        progress.say(f"using the cluster of {self.kubeconfig}")

    def down(self, progress: Progress) -> None:
        """Nothing: it is not ours."""
        progress.say(f"the cluster of {self.kubeconfig} is not ours and stays as it is")

    def load_images(self, archives: Sequence[Path], progress: Progress) -> None:
        """Hand them to the command the user named for that."""
        marker.require(self._kubectl, self.kubeconfig)
        command = self._environment.get(LOAD_COMMAND)
        if not command:
            raise ClusterError(
                f"set {LOAD_COMMAND} to the command that loads an image archive into that "
                "cluster's nodes, such as `minikube image load`; the archive is added to it"
            )
        for archive in archives:
            with progress.during(f"loading {archive.name}"):
                run(*shlex.split(command), archive, timeout=900)

    def details(self) -> Sequence[str]:
        """Where it comes from."""
        return (f"named by {KUBECONFIG}",)
