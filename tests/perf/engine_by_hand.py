"""The engine that runner pods run, with the same model and flags, without anything around it."""

import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.cluster.waiting import wait_until
from tests.support.engine import ensure_engine


@contextmanager
def engine_by_hand(words: Sequence[str] = ()) -> Iterator[tuple[httpx.Client, float]]:
    """A llama-server that has just become healthy, and when it was started (monotonic clock).

    `words`: program and arguments, but for where it listens; none: those of a runner pod.
    """
    with tempfile.TemporaryDirectory() as folder:
        socket = f"{folder}/engine.sock"
        command = [*(words or _words_of_a_pod()), "--host", socket]
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


def _words_of_a_pod() -> list[str]:
    engine = ensure_engine()
    words = [str(engine.llama_server), "-ngl", "999", "--metrics", "--model", str(engine.model)]
    return [*words, "--ctx-size", "2048", "--threads", "1", "--jinja"]


def _healthy(client: httpx.Client) -> bool:
    try:
        return client.get("/health").is_success
    except httpx.TransportError:
        return False
