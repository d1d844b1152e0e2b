"""The estimate of memory against what a real engine says and takes."""

import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modelrunner_protocol.wire import Mode
from runnerd.engines.environment import engine_environment
from runnerd.engines.memory import tuning
from runnerd.weights.gguf import read
from runnerd.weights.memory import estimate
from tests.cluster.waiting import wait_until
from tests.support.engine import Engine
from tests.support.scripted_runner import CONFIG

MIB = 1 << 20
_CACHE = re.compile(r"KV buffer size = +([0-9.]+) MiB")


@contextmanager
def _started(engine: Engine, folder: Path, flags: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """A ready llama-server: its process's number, and all that it said."""
    log = folder / "log"
    command = [str(engine.llama_server), "--model", str(engine.model), "--no-warmup"]
    # Such a level tells the sizes of buffers.
    command += ["--host", str(folder / "e.sock"), "--log-verbosity", "4", *flags]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=engine_environment({}))
    try:
        wait_until("the engine", lambda: _healthy(folder / "e.sock"), seconds=120)
        # It writes its log in a thread of its own; this line comes after all others of the start.
        wait_until("its log", lambda: b"listening on" in log.read_bytes(), seconds=120)
        yield process.pid, log.read_text("utf-8", "replace")
    finally:
        process.kill()
        process.wait()


def _healthy(path: Path) -> bool:
    # httpx leaves a socket open whose connection is refused, as it is before the engine listens.
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        try:
            connection.connect(str(path))
            connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            return b" 200 " in connection.recv(64)
        except OSError:
            return False


@pytest.mark.parametrize(
    ("flags", "mode"),
    [
        ((), Mode.COMPLETION),
        (("-c", "2048", "-np", "3"), Mode.COMPLETION),
        (("-c", "4096", "-ctk", "q8_0", "-ctv", "q4_0", "-fa", "on"), Mode.COMPLETION),
        (("-c", "1024", "--embeddings", "--pooling", "mean"), Mode.EMBEDDING),
    ],
)
def test_estimate(engine: Engine, tmp_path: Path, flags: tuple[str, ...], mode: Mode) -> None:
    """The cache is what the engine says, to the MiB; all of it is enough, and not much more."""
    with engine.model.open("rb") as file:
        header = read(file)
    tuned = tuning(CONFIG, flags, {})
    found = estimate(header, tuned, weights=engine.model.stat().st_size, mode=mode)
    with _started(engine, tmp_path, flags) as (pid, said):
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    cache = sum(float(size) for size in _CACHE.findall(said))
    assert cache
    assert found.cache / MIB == pytest.approx(cache, abs=1.0)
    taken = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert taken
    # What it has set apart for vectors is touched by long texts only.
    assert 0 <= found.total - int(taken[1]) * 1024 < 160 * MIB
