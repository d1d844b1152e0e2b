"""vLLM's router, in Rust. With the cheapest policy; there is one worker behind it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from tests.cluster.progress import Progress
from tests.perf.peers.environments import environment, pinned_version
from tests.perf.peers.side import Proxy, Scene, Side, free_port, started


class VllmRouter(Side):
    """It reads the body, and serves its metrics on a port of their own, as ours does."""

    name: ClassVar[str] = "vllm-router"
    _folder: Path

    def install(self, progress: Progress) -> None:
        """Into its environment."""
        self._folder = environment(self.name, progress)

    @contextmanager
    def run(self, scene: Scene) -> Iterator[Proxy]:
        """On one processor it starts one thread for the work."""
        port, metrics = free_port(), free_port()
        command = [str(self._folder / "vllm-router"), "--host", "127.0.0.1", "--port", str(port)]
        command += ["--worker-urls", scene.backend_url, "--policy", "round_robin"]
        command += ["--worker-startup-check-interval", "1", "--log-level", "error"]
        command += ["--prometheus-host", "127.0.0.1", "--prometheus-port", str(metrics)]
        version = pinned_version(self.name, self.name)
        with started(scene, self.name, version, port, command) as proxy:
            yield proxy
