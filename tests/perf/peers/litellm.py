"""The LiteLLM proxy: one worker, a master key, no database."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from tests.cluster.progress import Progress
from tests.perf.load.requests import MODEL
from tests.perf.peers.environments import environment, pinned_version
from tests.perf.peers.side import Proxy, Scene, Side, free_port, started


class LiteLlm(Side):
    """It parses bodies and answers, and writes both anew."""

    name: ClassVar[str] = "litellm"
    _folder: Path

    def install(self, progress: Progress) -> None:
        """Into its environment."""
        self._folder = environment(self.name, progress)

    @contextmanager
    def run(self, scene: Scene) -> Iterator[Proxy]:
        """With the price list of its package instead of one from the network."""
        port = free_port()
        target = {
            "model": f"openai/{MODEL}",
            "api_base": f"{scene.backend_url}/v1",
            "api_key": "none",
        }
        settings = {
            "model_list": [{"model_name": MODEL, "litellm_params": target}],
            "general_settings": {"master_key": scene.key},
            "litellm_settings": {"telemetry": False, "num_retries": 0},
        }
        file = scene.folder / "litellm.yaml"
        # JSON is YAML.
        file.write_text(json.dumps(settings), encoding="utf-8")
        command = [str(self._folder / "litellm"), "--config", str(file), "--num_workers", "1"]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        own = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
        version = pinned_version(self.name, self.name)
        with started(scene, self.name, version, port, command, own) as proxy:
            yield proxy
