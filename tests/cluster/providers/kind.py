"""A kind cluster, where Docker and kind are there."""

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

from tests.cluster import marker
from tests.cluster.commands import run, succeeds
from tests.cluster.errors import ClusterError
from tests.cluster.progress import Progress
from tests.cluster.providers.base import Provider
from tests.cluster.settings import NAME, ROOT

CONFIG = ROOT / "kind-config.yaml"
_GATEWAYS = "{{range .IPAM.Config}}{{.Gateway}} {{end}}"


class KindCluster(Provider):
    """One cluster named after the project, whose kubeconfig lies in the run folder."""

    name = "kind"
    # As kind-config.yaml maps them.
    published_ports = MappingProxyType({32434: 12434})

    def __init__(self, kind: Path, kubectl: str | Path, run_folder: Path) -> None:
        self._kind = kind
        self._kubectl = kubectl
        self._run_folder = run_folder

    @property
    def kubeconfig(self) -> Path:
        """A file of our own; the user's kubeconfig stays as it is."""
        return self._run_folder / "kind.kubeconfig"

    @property
    def host_address(self) -> str:
        """The gateway of kind's Docker network."""
        answer = run("docker", "network", "inspect", "kind", f"--format={_GATEWAYS}")
        for gateway in answer.split():
            if ":" not in gateway:
                return gateway
        raise ClusterError("Docker's network `kind` has no IPv4 gateway")

    def running(self) -> bool:
        """Whether its API server is ready."""
        return self.kubeconfig.is_file() and succeeds(
            self._kubectl, f"--kubeconfig={self.kubeconfig}", "get", "--raw=/readyz"
        )

    def up(self, progress: Progress) -> None:
        """Create it as kind-config.yaml says, and mark it for tests."""
        if self.running():
            progress.say(f"the kind cluster {NAME} is up already")
            return
        self.down(progress)
        self._run_folder.mkdir(parents=True, exist_ok=True)
        with progress.during(f"creating the kind cluster {NAME}"):
            flags = (f"--name={NAME}", f"--config={CONFIG}", f"--kubeconfig={self.kubeconfig}")
            run(self._kind, "create", "cluster", *flags, "--wait=180s", timeout=900)
        marker.apply(self._kubectl, self.kubeconfig)
        progress.say("the cluster is up")

    def down(self, progress: Progress) -> None:
        """Delete it."""
        if self._exists():
            with progress.during(f"deleting the kind cluster {NAME}"):
                flags = (f"--name={NAME}", f"--kubeconfig={self.kubeconfig}")
                run(self._kind, "delete", "cluster", *flags)
        self.kubeconfig.unlink(missing_ok=True)

    def load_images(self, archives: Sequence[Path], progress: Progress) -> None:
        """Load them with kind."""
        for archive in archives:
            with progress.during(f"loading {archive.name}"):
                command = ("load", "image-archive", archive, f"--name={NAME}")
                run(self._kind, *command, timeout=900)

    def details(self) -> Sequence[str]:
        """The version of kind."""
        return (run(self._kind, "version").strip(),)

    def _exists(self) -> bool:
        return NAME in run(self._kind, "get", "clusters").split()
