"""One `runnerd run` as in a runner's pod, without the pod."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from modelrunner_protocol.codec import encode
from modelrunner_protocol.wire import RUN_CONFIG_VARIABLE, RunConfig
from tests.cluster.errors import ClusterError
from tests.cluster.waiting import wait_until
from tests.perf.peers.side import free_port

MODEL: Final = "smol"
"""What it calls its model."""


@contextmanager
def runner_by_hand(program: Path, model: Path, folder: Path) -> Iterator[tuple[int, int, Path]]:
    """A ready runner: its process, its port and its engine's socket.

    Args:
        program: The engine's.
        model: The file with the weights.
        folder: For the socket and the log.

    Raises:
        ClusterError: it ended instead of becoming ready.
    """
    config = RunConfig(
        model=MODEL,
        namespace="ml",
        runner="cpu",
        engine="llama.cpp",
        weights=str(model),
        context_size=2048,
        port=free_port(),
    )
    environment = {
        "PATH": os.environ["PATH"],
        "LLAMA_SERVER_PATH": str(program),
        "RUNNERD_SOCKET_FOLDER": str(folder),
        RUN_CONFIG_VARIABLE: encode(config),
    }
    command = [sys.executable, "-m", "runnerd", "run"]
    file = folder / "log"
    with file.open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def ready() -> bool:
        if process.poll() is not None:
            raise ClusterError(f"runnerd ended: {file.read_text(encoding='utf-8')}")
        return b'"msg":"ready"' in file.read_bytes()

    try:
        wait_until("runnerd is ready", ready, interval=0.02)
        yield process.pid, config.port, folder / f"engine-{process.pid}.sock"
    finally:
        process.terminate()
        process.wait(30)
