"""The control plane's programs and their flags."""

import contextlib
import dataclasses
import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.cluster.errors import ClusterError
from tests.cluster.processes import Processes
from tests.cluster.settings import SERVICE_NETWORK
from tests.cluster.waiting import wait_until

CONTROLLER_MANAGER = "kube-controller-manager"


@dataclasses.dataclass(frozen=True)
class Daemons:
    """One control plane: `port` API server, then etcd (2), controller manager, scheduler.

    Attributes:
        folder: holds its keys, data, logs.
        programs: the folder of the built programs.
        address: where the API server listens.
        port: the first of five ports.
    """

    folder: Path
    programs: Path
    address: str
    port: int
    processes: Processes

    @property
    def pki(self) -> Path:
        """The folder of keys, certificates and kubeconfigs."""
        return self.folder / "pki"

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://{self.address}:{self.port}"

    def start_etcd(self) -> None:
        """Start etcd; nothing it holds has to survive the machine, so it does not sync."""
        client = f"http://127.0.0.1:{self.port + 1}"
        peer = f"http://127.0.0.1:{self.port + 2}"
        self.processes.start(
            "etcd",
            self.programs / "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            "--name=etcd",
            "--unsafe-no-fsync",
            "--log-level=warn",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=etcd={peer}",
            "--quota-backend-bytes=4294967296",
        )

    def start_apiserver(self, *more: str) -> None:
        """Start the API server with RBAC, the default admission plugins and NodeRestriction."""
        pki = self.pki
        self.processes.start(
            "kube-apiserver",
            self.programs / "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self.port + 1}",
            f"--bind-address={self.address}",
            f"--advertise-address={self.address}",
            f"--secure-port={self.port}",
            f"--tls-cert-file={pki}/apiserver.crt",
            f"--tls-private-key-file={pki}/apiserver.key",
            f"--client-ca-file={pki}/ca.crt",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            "--kubelet-preferred-address-types=InternalIP",
            f"--kubelet-certificate-authority={pki}/ca.crt",
            f"--kubelet-client-certificate={pki}/apiserver-kubelet.crt",
            f"--kubelet-client-key={pki}/apiserver-kubelet.key",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={pki}/service-account.key",
            f"--service-account-signing-key-file={pki}/service-account.key",
            f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={pki}/front-proxy.crt",
            f"--proxy-client-key-file={pki}/front-proxy.key",
            *more,
        )

    def start_controller_manager(self, *more: str) -> None:
        """Start the controllers; they end by themselves when no API server answers yet."""
        pki = self.pki
        self.processes.start(
            CONTROLLER_MANAGER,
            self.programs / CONTROLLER_MANAGER,
            *self._client_flags("controller-manager"),
            f"--secure-port={self.port + 3}",
            f"--root-ca-file={pki}/ca.crt",
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={pki}/service-account.key",
            f"--cluster-signing-cert-file={pki}/ca.crt",
            f"--cluster-signing-key-file={pki}/ca.key",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
            *more,
        )

    def start_scheduler(self) -> None:
        """Start the scheduler."""
        self.processes.start(
            "kube-scheduler",
            self.programs / "kube-scheduler",
            *self._client_flags("scheduler"),
            f"--secure-port={self.port + 4}",
        )

    def _client_flags(self, name: str) -> tuple[str, ...]:
        config = self.pki / f"{name}.kubeconfig"
        return (
            f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}",
            f"--bind-address={self.address}",
            "--leader-elect=false",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
        )

    def wait_until_ready(self, seconds: float = 90) -> None:
        """Return once the API server says so; raise a ClusterError when it or etcd ended."""

        def ready() -> bool:
            self.processes.require("etcd", "kube-apiserver")
            return bool(self.get("/readyz") == "ok")

        logs = self.processes.logs
        wait_until("API server", ready, seconds=seconds, hint=f"Logs: {logs}")

    def get(self, path: str) -> Any:
        """GET as administrator: the decoded JSON (or text) of the answer.

        None when nobody answers or the answer is not 200. Far cheaper than a kubectl process
        for a question that is asked ten times a second.
        """
        trust = ssl.create_default_context(cafile=self.pki / "ca.crt")
        trust.load_cert_chain(self.pki / "admin.crt", self.pki / "admin.key")
        # The proxies of the user's environment must not see requests to our own addresses.
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
        )
        with contextlib.suppress(OSError, urllib.error.URLError):
            with opener.open(self.server + path, timeout=5) as answer:
                body = answer.read().decode()
            return json.loads(body) if body.startswith("{") else body
        return None


def require_programs(folder: Path) -> None:
    """Raise a ClusterError unless the built programs are there."""
    if not (folder / "kube-apiserver").exists():
        raise ClusterError(f"{folder} holds no build; run `python -m tests.cluster build`")
