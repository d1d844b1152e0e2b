"""One program that fetches a file, from its start to its end."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.cluster.commands import shown
from tests.cluster.errors import ClusterError

MIB: Final = 1024 * 1024
GIB: Final = 1024 * MIB
_LOOK_EVERY: Final = 0.02


@dataclass(frozen=True)
class Client:
    """A program that brings the model into the folder `{out}`.

    Attributes:
        command: Its words; `{out}` in them stands for the folder.
        verifies: What it does for the file beside fetching it, in words.
    """

    name: str
    command: Sequence[str | Path]
    verifies: str
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """What one run took.

    Attributes:
        seconds: Until the program ended.
        synced: Until the disk had the file: what the program does not do itself comes after it.
        cpu: Seconds of processor time, user and system, of all its threads and children.
        peak: Bytes of memory at its peak (VmHWM of the process).
        answer: What it wrote to its standard output.
    """

    seconds: float
    synced: float
    cpu: float
    peak: int
    answer: str = ""


def fetch(client: Client, out: Path, size: int) -> Run:
    """Run it into the empty folder `out`, and see that the file is there, of that size.

    Raises:
        ClusterError: it failed.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    # What was written before shall not compete for the disk.
    os.sync()
    begin = time.monotonic()
    one = observe(client, out)
    found = [path for path in out.rglob("*") if path.is_file() and path.stat().st_size == size]
    if not found:
        raise ClusterError(f"{client.name} left no file of {size} bytes")
    _sync(found[0])
    return Run(one.seconds, time.monotonic() - begin, one.cpu, one.peak, one.answer)


def observe(client: Client, out: Path) -> Run:
    """Run it, whatever it leaves.

    Raises:
        ClusterError: it failed.
    """
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as log:
        begin = time.monotonic()
        process = start(client, out, answer.fileno(), log.fileno())
        peak = _Peak(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begin
        # In any case: a thread that goes on keeps the benchmark from its end.
        most = peak.bytes()
        process.returncode = os.waitstatus_to_exitcode(status)
        answer.seek(0)
        log.seek(0)
        told = answer.read().decode("utf-8", "replace")
        if process.returncode:
            last = log.read().decode("utf-8", "replace")[-1000:]
            raise ClusterError(f"{client.name} failed ({process.returncode}): {last}{told[-500:]}")
    cpu = usage.ru_utime + usage.ru_stime
    return Run(seconds, seconds, cpu, most, told)


def start(client: Client, out: Path, answer: int, log: int) -> "subprocess.Popen[bytes]":
    """Start it; proxies of the environment are for other hosts.

    Raises:
        ClusterError: it is not installed.
    """
    words = [str(word).replace("{out}", str(out)) for word in client.command]
    inherited = {k: v for k, v in os.environ.items() if not k.upper().endswith("_PROXY")}
    environment = {k: v.replace("{out}", str(out)) for k, v in client.environment.items()}
    try:
        return subprocess.Popen(words, env=inherited | environment, stdout=answer, stderr=log)
    except FileNotFoundError as error:
        raise ClusterError(f"{shown(words)}: not installed") from error


class _Peak:
    """The most memory of a process, which the kernel keeps: looked at until it ends.

    Not the resource usage that its parent is told: that begins with the parent's own memory.
    """

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._kib = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def bytes(self) -> int:
        """After it ended."""
        self._ended.set()
        self._thread.join()
        return self._kib * 1024

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_EVERY):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found = self._status.read_text("ascii", "replace").partition("VmHWM:")[2].split()
                # A zombie has none.
                self._kib = int(found[0]) if found else self._kib


def _sync(file: Path) -> None:
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
