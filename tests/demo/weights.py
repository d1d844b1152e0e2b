"""The demo's file server: it outlives `make demo`, so that the Model can be made again."""

import shutil
import socket
import sys
from typing import Final

from tests.cluster.processes import Processes
from tests.cluster.progress import Progress
from tests.cluster.settings import ROOT, run_folder
from tests.cluster.waiting import wait_until
from tests.support.stack import Stack

_PORT: Final = 18080
_NAME: Final = "file-server"


def serve(stack: Stack, progress: Progress) -> str:
    """Serve the model file to pods, and return its URL."""
    processes = _processes()
    host, program = stack.provider.host_address, ROOT / "tests/support/file_server.py"
    if not processes.alive(_NAME):
        folder = str(stack.weights.parent)
        command = (sys.executable, program, folder, "--host", host, "--port", str(_PORT))
        processes.start(_NAME, *command)

    def listens() -> bool:
        processes.require(_NAME)
        with socket.socket() as probe:
            return probe.connect_ex((host, _PORT)) == 0

    wait_until("file server", listens, seconds=20, hint=f"Logs: {processes.logs}")
    url = f"http://{host}:{_PORT}/{stack.weights.name}"
    size = stack.weights.stat().st_size / 1024**2
    progress.say(f"a file server on this machine offers {url} ({size:.0f} MiB)")
    return url


def stop() -> None:
    """End the file server, if it runs, and forget its log."""
    processes = _processes()
    processes.stop_all(grace=2)
    shutil.rmtree(processes.folder, ignore_errors=True)


def _processes() -> Processes:
    # Beside the cluster's folder, which `make cluster-down` removes as a whole.
    folder = run_folder().with_name(run_folder().name + "-demo")
    return Processes(folder)
