"""Processes that outlive the one that starts them, and that only we ever end.

A process is known by its number, its start time and the machine's boot, so a number
that the kernel gave to somebody else later is never signalled. Signals go through a pidfd,
which names one process for good.
"""

import contextlib
import dataclasses
import json
import os
import select
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.cluster.errors import ClusterError

# Every process of a cluster carries this variable with the cluster's folder: a process whose
# number could not be written down (its starter was killed in that moment) is found by it.
MARK = "MODEL_RUNNER_CLUSTER_FOLDER"


@dataclasses.dataclass(frozen=True)
class Identity:
    """One process of one boot: `started` is in clock ticks since boot."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int, *, corpse: bool = False) -> "Identity | None":
        """The process that has this number now; None when there is none.

        A process that ended and that nobody asked for its status, a corpse, is none either,
        unless asked for.
        """
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        # The second field, a name in brackets, may itself hold spaces and brackets.
        fields = stat.rpartition(")")[2].split()
        ended = fields[0] in {"Z", "X"} and not corpse
        return None if ended else cls(pid, int(fields[19]), boot())

    @classmethod
    def of_self(cls) -> "Identity":
        """This very process."""
        identity = cls.of(os.getpid())
        if identity is None:
            raise ClusterError("/proc does not show this process; is it mounted?")
        return identity

    @classmethod
    def load(cls, file: Path) -> "Identity | None":
        """What `save` wrote; None when the file is missing or was cut short."""
        try:
            return cls(**json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def save(self, file: Path) -> None:
        """Write it as JSON, whole or not at all."""
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")
        partial.replace(file)

    @property
    def alive(self) -> bool:
        """Whether exactly this process still runs."""
        return Identity.of(self.pid) == self

    def stop(self, *, grace: float) -> None:
        """Ask it to end, and make it end after `grace` seconds (0: at once)."""
        with self._handle() as handle:
            if handle is None:
                return
            if grace > 0:
                signal.pidfd_send_signal(handle, signal.SIGTERM)
            if not ended(handle, grace):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                if not ended(handle, 10):
                    raise ClusterError(f"process {self.pid} cannot be ended")

    @contextlib.contextmanager
    def _handle(self) -> Iterator[int | None]:
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            yield None
            return
        try:
            # Asked after the pidfd was opened: from here on it cannot become another process.
            yield handle if self.alive else None
        finally:
            os.close(handle)


def boot() -> str:
    """The id of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def ended(handle: int, seconds: float) -> bool:
    """Wait at most `seconds` for the end of the process behind a pidfd."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def marked(folder: Path) -> Iterator[Identity]:
    """All processes that carry the mark of the cluster in `folder`."""
    wanted = f"{MARK}={folder}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (identity := Identity.of(int(entry.name))):
            with contextlib.suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0") and identity.alive:
                    yield identity


def memory(identity: Identity) -> int:
    """Resident memory of a process in bytes; 0 when it is gone."""
    with contextlib.suppress(OSError):
        pages = Path(f"/proc/{identity.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    return 0


# What this very process started: kept, so that it is reaped when it is stopped here, and so that
# Python does not complain about a process that is meant to go on.
_CHILDREN: dict[int, "subprocess.Popen[bytes]"] = {}


def _reap(identity: Identity) -> None:
    if child := _CHILDREN.pop(identity.pid, None):
        child.wait()


class Processes:
    """The processes of one cluster: FOLDER/pids/NAME and FOLDER/log/NAME.log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "log"
        self._pids = folder / "pids"

    def start(self, name: str, *command: str | Path, path: Iterable[Path] = ()) -> Identity:
        """Start a program in a session of its own; `path` goes before the usual PATH.

        It gets a small environment of its own: a proxy or Go setting of the user's shell
        would change what a node does.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        with (self.logs / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                env=self._environment(path),
            )
        _CHILDREN[child.pid] = child
        # It may have ended already, but until it is reaped the number is its own.
        identity = Identity.of(child.pid, corpse=True)
        if identity is None:
            raise ClusterError("/proc does not show our processes; is it mounted?")
        identity.save(self._pids / name)
        return identity

    def _environment(self, path: Iterable[Path]) -> Mapping[str, str]:
        usual = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        return {
            "PATH": ":".join([*map(str, path), *usual]),
            "HOME": "/",
            MARK: str(self.folder),
        }

    def identity(self, name: str) -> Identity | None:
        """The process started under this name, whether or not it still runs."""
        return Identity.load(self._pids / name)

    def alive(self, name: str) -> bool:
        """Whether the process started under this name runs."""
        identity = self.identity(name)
        return identity is not None and identity.alive

    def require(self, *names: str) -> None:
        """Raise a ClusterError with the last log lines of the first of `names` that ended."""
        for name in names:
            if not self.alive(name):
                raise ClusterError(f"{name} ended by itself:\n{self.last_lines(name)}")

    def last_lines(self, name: str, count: int = 12) -> str:
        """The end of its log."""
        file = self.logs / f"{name}.log"
        if not file.is_file():
            return f"(no log at {file})"
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
        return "\n".join([*(line[:400] for line in lines), f"(whole log: {file})"])

    def stop(self, name: str, *, grace: float = 10) -> None:
        """End one process and forget it; nothing happens when it does not run."""
        if identity := self.identity(name):
            identity.stop(grace=grace)
            _reap(identity)
        (self._pids / name).unlink(missing_ok=True)

    def stop_all(self, *, grace: float = 0) -> None:
        """End every process of this cluster, written down or not."""
        if self._pids.is_dir():
            for file in sorted(self._pids.iterdir()):
                self.stop(file.stem if file.suffix == ".partial" else file.name, grace=grace)
        for identity in marked(self.folder):
            identity.stop(grace=grace)
            _reap(identity)
