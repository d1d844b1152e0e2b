"""The engine that runner pods run, with the same model and flags, without anything around it."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.cluster.waiting import wait_until
from tests.support.engine import ensure_engine


@contextmanager
def engine_by_hand() -> Iterator[tuple[httpx.Client, float]]:
    """A llama-server that has just become healthy, and when it was started (monotonic clock)."""
    engine = ensure_engine()
    with tempfile.TemporaryDirectory() as folder:
        socket = f"{folder}/engine.sock"
        command = [str(engine.llama_server), "-ngl", "999", "--metrics"]
        command += ["--model", str(engine.model)]
        command += ["--host", socket, "--ctx-size", "2048", "--threads", "1", "--jinja"]
        begin = time.monotonic()
        with (Path(folder) / "log").open("wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log)
        transport = httpx.HTTPTransport(uds=socket)
        try:
            with httpx.Client(transport=transport, base_url="http://engine", timeout=30) as client:
                wait_until("engine", lambda: _healthy(client), seconds=60, interval=0.01)
                yield client, begin
        finally:
            server.kill()
            server.wait()


def _healthy(client: httpx.Client) -> bool:
    try:
        return client.get("/health").is_success
    except httpx.TransportError:
        return False
