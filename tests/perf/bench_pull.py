"""What a pull costs beside curl, aria2c and huggingface_hub, from four kinds of servers.

    python -m tests.perf.bench_pull [--size-mib 2048] [--folder DIR] [--rounds 5] [--sources http,s3]

All sides fetch the same file in turn, round by round, into the same folder. Ours hashes and syncs
the file before it ends; the others do neither, so "to disk" counts an fsync for those that do not
do their own. Then a pull is killed in the middle and gone on with, and one is repeated. Nothing is
asserted; the tables are the result.
"""

import argparse
import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.cluster.progress import Progress
from tests.cluster.waiting import wait_until
from tests.perf.figures import Spread, ratios, table
from tests.perf.options import USUAL, Options
from tests.perf.pulls import clients
from tests.perf.pulls.origins import FileHost, Model, bucket, file_host, registry, write_model
from tests.perf.pulls.runs import GIB, MIB, Client, Run, fetch, observe, start

SOURCES: Final = ("http", "hub", "oci", "s3")
_AIM_SPEED: Final = 0.9
_AIM_MIB: Final = 100
_PIECE_MIB: Final = 16

Rounds = Mapping[str, Sequence[Run]]


@dataclass(frozen=True)
class Ground:
    """Where it is measured."""

    folder: Path
    model: Model
    rounds: int
    progress: Progress

    @property
    def out(self) -> Path:
        """Where all sides write to."""
        return self.folder / "out"


def main(options: Options = USUAL) -> None:
    """Parse the command line and print the tables."""
    settings = _settings(options)
    progress = Progress()
    with tempfile.TemporaryDirectory(dir=settings.folder) as name:
        folder = Path(name)
        with progress.during(f"writing a model of {settings.size_mib} MiB"):
            served = folder / "served"
            served.mkdir()
            model = write_model(served, settings.size_mib * MIB)
        ground = Ground(folder, model, settings.rounds, progress)
        print(f"{settings.size_mib} MiB, {settings.rounds} rounds, median [least-most]")
        with file_host(folder, model, progress) as host:
            for source in settings.sources.split(","):
                _compare(ground, host, source)
            _kill(ground, host)
            _repeat(ground, host)


def _settings(options: Options) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--size-mib", type=int, default=options.pick(2048, 256))
    parser.add_argument("--folder", type=folder_at, help="on the disk to be written to")
    parser.add_argument("--rounds", type=int, default=options.rounds or options.pick(5, 2))
    parser.add_argument("--sources", default=",".join(SOURCES), help="any of %(default)s")
    settings, _ = parser.parse_known_args()
    if unknown := set(settings.sources.split(",")) - set(SOURCES):
        parser.error(f"no source {', '.join(sorted(unknown))}; there are {', '.join(SOURCES)}")
    return settings


def folder_at(path: str) -> Path:
    """A folder of the command line; it is made.

    Raises:
        argparse.ArgumentTypeError: it cannot be.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(
            f"no folder can be made at {path}: {error.strerror}"
        ) from error
    return folder


@contextmanager
def _sides(ground: Ground, host: FileHost, source: str) -> Iterator[list[Client]]:
    model, progress = ground.model, ground.progress
    if source == "oci":
        with registry(ground.folder, model) as reference:
            yield clients.for_registry(reference, model.sha256, progress)
    elif source == "s3":
        with bucket(ground.folder, model) as (url, signed):
            yield clients.for_bucket(url, signed, progress)
    else:
        yield {"http": clients.for_files, "hub": clients.for_hub}[source](host, progress)


def _compare(ground: Ground, host: FileHost, source: str) -> None:
    with _sides(ground, host, source) as sides:
        # Once beforehand: what is read comes from memory, programs from the page cache.
        fetch(sides[0], ground.out, ground.model.size)
        rounds: dict[str, list[Run]] = {side.name: [] for side in sides}
        for _ in range(ground.rounds):
            for side in sides:
                rounds[side.name].append(fetch(side, ground.out, ground.model.size))
    print(f"\n{source}:", flush=True)
    print(figures(rounds, ground.model.size), flush=True)
    for line in verdicts(rounds):
        print(f"  {line}", flush=True)


def figures(rounds: Rounds, size: int) -> str:
    """A row for each side; the ratios are those of ours."""
    head: tuple[str, ...] = (
        "",
        "MiB/s",
        "to disk",
        "CPU s/GiB",
        "peak MiB",
        "ours: speed",
        "to disk",
        "CPU",
    )
    rows = [head]
    for name, runs in rounds.items():
        own = [
            _spread(runs, lambda one: size / one.seconds / MIB).text(0),
            _spread(runs, lambda one: size / one.synced / MIB).text(0),
            _spread(runs, lambda one: one.cpu * GIB / size).text(2),
            _spread(runs, lambda one: one.peak / MIB).text(0),
        ]
        rows.append((name, *own, *_ratios(rounds[clients.OURS], runs, name)))
    return table(rows)


def verdicts(rounds: Rounds) -> list[str]:
    """What the aims are, and whether they are met."""
    ours, lines = rounds[clients.OURS], []
    if clients.CURL in rounds:
        for what, value in (("as they end", _speed), ("to disk", _synced_speed)):
            ratio = _by(ours, rounds[clients.CURL], value)
            met = "met" if ratio.middle >= _AIM_SPEED else "NOT met"
            lines.append(f"{ratio.text(2)} times curl's speed, {what}: aim ≥ {_AIM_SPEED}: {met}")
    peak = max(one.peak for one in ours) / MIB
    met = "met" if peak <= _AIM_MIB else "NOT met"
    return [*lines, f"{peak:.0f} MiB at the peak, aim ≤ {_AIM_MIB}: {met}"]


def _ratios(ours: Sequence[Run], theirs: Sequence[Run], name: str) -> tuple[str, str, str]:
    if name == clients.OURS:
        return "", "", ""
    speed, synced = _by(ours, theirs, _speed), _by(ours, theirs, _synced_speed)
    return speed.text(2), synced.text(2), _by(ours, theirs, lambda one: one.cpu).text(2)


def _by(ours: Sequence[Run], theirs: Sequence[Run], value: Callable[[Run], float]) -> Spread:
    return ratios([value(one) for one in ours], [value(one) for one in theirs])


def _spread(runs: Sequence[Run], value: Callable[[Run], float]) -> Spread:
    return Spread.of([value(one) for one in runs])


def _speed(one: Run) -> float:
    return 1 / one.seconds


def _synced_speed(one: Run) -> float:
    return 1 / one.synced


def _kill(ground: Ground, host: FileHost) -> None:
    """A kill -9 once half is on the volume; what is then fetched again of what was there."""
    client, size = clients.runnerd(host.url), ground.model.size
    fetched = []
    for _ in range(ground.rounds):
        _empty(ground.out)
        process = start(client, ground.out, subprocess.DEVNULL, subprocess.DEVNULL)
        try:
            wait_until("half of it", lambda: _held(ground.out) >= size / 2, interval=0.005)
        finally:
            process.kill()
            process.wait()
        held = _held(ground.out)
        told = _told(observe(client, ground.out))
        fetched.append((held + told - size) / MIB)
    again = Spread.of(fetched)
    bound = _PIECE_MIB * clients.CONNECTIONS
    met = "met" if again.most <= bound else "NOT met"
    print(f"\nkill -9 at 50 %: {again.text(1)} MiB were fetched again, aim ≤ {bound}: {met}")


def _repeat(ground: Ground, host: FileHost) -> None:
    """The same source again."""
    client = clients.runnerd(host.url)
    _empty(ground.out)
    first, sent = observe(client, ground.out), host.bytes_sent()
    again = observe(client, ground.out)
    came = host.bytes_sent() - sent
    print(f"the same again: {again.seconds:.2f} s after {first.seconds:.2f} s, {came} bytes sent")


def _empty(folder: Path) -> None:
    subprocess.run(("rm", "-rf", folder), check=True)
    folder.mkdir()
    os.sync()


def _held(folder: Path) -> int:
    """Bytes that files have blocks for."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            found = path.lstat()
            total += min(found.st_size, found.st_blocks * 512)
    return total


def _told(one: Run) -> int:
    """Bytes that came, as the last line of JSON says."""
    return int(json.loads(one.answer.splitlines()[-1])["downloadedBytes"])


if __name__ == "__main__":
    main()
