"""`runnerd verify`: hash what a cache holds, and set damaged files apart."""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final

from modelrunner_protocol.codec import WireError
from modelrunner_protocol.wire import CACHE_MOUNT
from runnerd.weights.disk import size_text
from runnerd.weights.failure import WeightsError
from runnerd.weights.store import Store
from runnerd.weights.verify import Finding, stores, verify

SOUND: Final = 0
DAMAGED: Final = 1
WRONG: Final = 2

_INTERVAL: Final = 2.0


def verify_cache(arguments: Sequence[str]) -> int:
    """Verify; 0 when all is sound, 1 when something is damaged, 2 when nothing can be said."""
    options = _parser().parse_args(arguments)
    damaged = 0
    try:
        found = stores(options.root, tuple(options.keys))
        if not found:
            sys.stderr.write(f"{options.root} holds no artifacts: nothing to verify\n")
        for store in found:
            damaged += _artifact(store, quarantine=options.quarantine, as_json=options.json)
    except (WeightsError, OSError) as error:
        sys.stderr.write(f"runnerd verify: {error}\n")
        return WRONG
    return DAMAGED if damaged else SOUND


def _artifact(store: Store, *, quarantine: bool, as_json: bool) -> int:
    """How many files of an artifact are damaged."""
    found: list[Finding] = []
    with store.lock() as mine:
        if quarantine and not mine:
            raise WeightsError(f"{store.folder.name} is being written: verify it afterwards")
        for finding in verify(store, _Telling(store)):
            found.append(finding)
            if quarantine and finding.file and (store.folder / finding.file).exists():
                store.isolate(finding.file)
            _tell(finding, as_json=as_json)
    if not found:
        size = 0
        with suppress(OSError, WireError):
            size = store.recorded().size_bytes
        told = {"key": store.folder.name, "sound": True, "sizeBytes": size}
        _write(json.dumps(told) if as_json else f"{store.folder.name}: sound, {size_text(size)}")
    return len(found)


def _tell(finding: Finding, *, as_json: bool) -> None:
    if as_json:
        _write(json.dumps({**asdict(finding), "sound": False}))
    else:
        where = f"{finding.key}/{finding.file}" if finding.file else finding.key
        _write(f"{where}: damaged: {finding.problem}")


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class _Telling:
    """Says every two seconds how far it is; on standard error, since the findings are the answer."""

    def __init__(self, store: Store) -> None:
        self._name = store.folder.name
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
        description="Hash every file of a cache and compare it with what was pulled.",
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
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser
