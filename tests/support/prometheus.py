"""A real Prometheus, unpacked from the distribution's package and never installed."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.cluster.commands import run
from tests.cluster.locks import locked
from tests.cluster.processes import Identity
from tests.cluster.progress import Progress
from tests.cluster.settings import cache_folder
from tests.cluster.waiting import wait_until
from tests.support.archives import publish, workspace

_PORT = 19090


@dataclass(frozen=True)
class Prometheus:
    """The programs' folder; a started server answers on a fixed port of the loopback."""

    folder: Path

    def check(self, text: str) -> str:
        """What `promtool check metrics` has to say about an exposition; "" when nothing."""
        command = [str(self.folder / "promtool"), "check", "metrics"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        return (done.stdout + done.stderr).strip()

    @contextmanager
    def scraping(self, jobs: list[dict[str, Any]]) -> Iterator[httpx.Client]:
        """A server with these scrape_configs; the client is for its API."""
        with tempfile.TemporaryDirectory() as name:
            config = Path(name) / "prometheus.yml"
            config.write_text(yaml.safe_dump({"scrape_configs": jobs}), encoding="utf-8")
            address = f"127.0.0.1:{_PORT}"
            command: list[str | Path] = [self.folder / "prometheus"]
            command += [f"--config.file={config}", f"--storage.tsdb.path={name}/data"]
            command.append(f"--web.listen-address={address}")
            with (Path(name) / "log").open("wb") as log:
                server = subprocess.Popen(command, stdout=log, stderr=log)
            try:
                with httpx.Client(
                    base_url=f"http://{address}", trust_env=False, timeout=60
                ) as client:
                    wait_until("Prometheus", lambda: _ready(client), seconds=120)
                    yield client
            finally:
                if identity := Identity.of(server.pid):
                    identity.stop(grace=5)
                server.wait()


def ensure_prometheus(progress: Progress) -> Prometheus:
    """What is installed, else the package of this machine's release, unpacked into the cache.

    Raises:
        ClusterError: it is not installed, and apt-get cannot fetch it.
    """
    installed = shutil.which("prometheus")
    if installed and shutil.which("promtool"):
        return Prometheus(Path(installed).parent)
    root = cache_folder() / "prometheus"
    root.mkdir(parents=True, exist_ok=True)
    folder = root / "unpacked"
    with locked(root / "lock", what="Prometheus", progress=progress):
        if not folder.is_dir():
            with workspace(root) as space, progress.during("fetching Prometheus"):
                run("apt-get", "update", "-qq", timeout=300)
                options = ("-qq", "-o", "APT::Sandbox::User=root")
                run("apt-get", "download", *options, "prometheus", folder=Path(space), timeout=300)
                (package,) = Path(space).glob("*.deb")
                partial = Path(space) / "unpacked"
                run("dpkg", "-x", package, partial)
                publish(partial, folder)
    return Prometheus(folder / "usr/bin")


def query(client: httpx.Client, expression: str) -> list[dict[str, Any]]:
    """The instant vector of an expression."""
    answer = client.get("/api/v1/query", params={"query": expression}).raise_for_status()
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return found


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").is_success
    except httpx.TransportError:
        return False
