"""`runnerd verify`: hash what a cache holds, and set damaged files apart."""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from modelrunner_protocol.codec import WireError
from modelrunner_protocol.wire import CACHE_MOUNT
from runnerd.weights.clock import SystemClock
from runnerd.weights.disk import size_text
from runnerd.weights.failure import WeightsError
from runnerd.weights.lease import only_writer
from runnerd.weights.spoken import say, why
from runnerd.weights.store import Store
from runnerd.weights.verify import Finding, digest_of, set_apart, stores, verify

SOUND: Final = 0
DAMAGED: Final = 1
WRONG: Final = 2

_INTERVAL: Final = 2.0


def verify_cache(arguments: Sequence[str]) -> int:
    """Verify; 0 when all is sound, 1 when something is damaged, 2 when nothing can be said."""
    options = _parser().parse_args(arguments)
    try:
        if options.path:
            for path in options.path:
                _hash(options.root, path, as_json=options.json)
            return SOUND
        found = stores(options.root, tuple(options.keys))
        if not found:
            sys.stderr.write(f"{options.root} holds no artifacts: nothing to verify\n")
        damaged = _artifacts(found, quarantine=options.quarantine, as_json=options.json)
    except (WeightsError, OSError) as error:
        sys.stderr.write(f"runnerd verify: {why(error)}\n")
        return WRONG
    return DAMAGED if damaged else SOUND


def _artifacts(found: list[Store], *, quarantine: bool, as_json: bool) -> int:
    """How many files are damaged; what several keys lead to is hashed once."""
    damaged = 0
    read: dict[Path, list[Finding]] = {}
    for store in found:
        place = store.place
        if place in read:
            findings = [replace(one, key=store.key) for one in read[place]]
            for finding in findings:
                _tell(finding, as_json=as_json)
        else:
            findings = read[place] = _findings(store, as_json=as_json)
            damaged += len(findings)
        if not findings:
            _tell_sound(store, as_json=as_json)
        elif quarantine:
            asyncio.run(_set_apart(store, findings))
    return damaged


def _findings(store: Store, *, as_json: bool) -> list[Finding]:
    found = []
    for finding in verify(store, _Telling(store.key)):
        found.append(finding)
        _tell(finding, as_json=as_json)
    return found


async def _set_apart(store: Store, found: list[Finding]) -> None:
    def waiting() -> None:
        sys.stderr.write(f"{store.key} is being written: waiting for that\n")

    async with only_writer(store, SystemClock(), on_wait=waiting):
        set_apart(store, found)


def _hash(root: Path, relative: str, *, as_json: bool) -> None:
    """Tell the sha256 of a file where it lies, or of all files of a folder."""
    path = (root / relative).resolve(strict=True)
    if not path.is_relative_to(root.resolve()):
        raise WeightsError(f"{relative} leads out of {root}: name a file below it")
    files = sorted(filter(Path.is_file, path.iterdir())) if path.is_dir() else [path]
    for file in files:
        sha256 = digest_of(file, _Telling(file.name))
        name = relative if file == path else f"{relative.rstrip('/')}/{file.name}"
        told = {"path": name, "sha256": sha256, "sizeBytes": file.stat().st_size}
        say(json.dumps(told) if as_json else f"{sha256}  {name}")


def _tell_sound(store: Store, *, as_json: bool) -> None:
    size = 0
    with suppress(OSError, WireError):
        size = store.recorded().size_bytes
    told = {"key": store.key, "sound": True, "sizeBytes": size}
    say(json.dumps(told) if as_json else f"{store.key}: sound, {size_text(size)}")


def _tell(finding: Finding, *, as_json: bool) -> None:
    if as_json:
        say(json.dumps({**asdict(finding), "sound": False}))
    else:
        where = f"{finding.key}/{finding.file}" if finding.file else finding.key
        say(f"{where}: damaged: {finding.problem}")


class _Telling:
    """Says every two seconds how far it is; on standard error, since the findings are the answer."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._read = 0
        self._told = time.monotonic()

    def __call__(self, count: int) -> None:
        self._read += count
        if time.monotonic() - self._told >= _INTERVAL:
            self._told = time.monotonic()
            sys.stderr.write(f"{self._name}: {size_text(self._read)} read\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="runnerd verify",
        description=(
            "Hash every file of a cache and compare it with what was pulled. Without arguments, and "
            "with RUNNERD_PULL set, that one artifact is verified, as in a pod."
        ),
        epilog="Exit status: 0 all is sound, 1 something is damaged, 2 it could not be verified.",
    )
    parser.add_argument("keys", nargs="*", metavar="KEY", help="artifacts; all without any")
    parser.add_argument(
        "--root",
        type=Path,
        default=Path(os.environ.get("MODELS_PATH", CACHE_MOUNT)),
        metavar="DIR",
        help="the cache (default: $MODELS_PATH or %(default)s)",
    )
    parser.add_argument(
        "--quarantine",
        action="store_true",
        help="set damaged files apart, so that the next pull fetches them again, and only them",
    )
    parser.add_argument(
        "--path",
        action="append",
        metavar="FILE",
        help="only tell the sha256 of this file, or of the files of this folder, below DIR",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser
