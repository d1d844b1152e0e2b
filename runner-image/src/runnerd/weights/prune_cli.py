"""`runnerd prune`: removes from a shared cache what nobody wants any more."""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from modelrunner_protocol.durations import format_duration, parse_duration
from modelrunner_protocol.wire import CACHE_MOUNT
from runnerd.weights.clock import SystemClock
from runnerd.weights.disk import size_text
from runnerd.weights.failure import WeightsError
from runnerd.weights.prune import Leftover, leftovers, prune
from runnerd.weights.spec_source import keys_of_models
from runnerd.weights.spoken import say, why

DONE: Final = 0
FAILED: Final = 1
WRONG: Final = 2

_UNUSED_FOR: Final = "168h"


def prune_cache(arguments: Sequence[str]) -> int:
    """Prune; 0 when all that can go is gone, 1 when something could not be removed."""
    options = _parser().parse_args(arguments)
    try:
        unused_for, now = parse_duration(options.unused_for), time.time()
        keep = {*options.keep, *_kept_by_models(options.keep_models)}
        found = leftovers(options.root, keep=keep, unused_for=unused_for, now=now)
    except (ValueError, WeightsError, OSError) as error:
        sys.stderr.write(f"runnerd prune: {why(error)}\n")
        return WRONG
    freed, failed = 0, False
    for one in found:
        problem = "" if options.dry_run else _removed(options.root, one, unused_for, now)
        failed = failed or bool(problem)
        freed += 0 if problem else one.size
        _tell(one, problem, dry_run=options.dry_run, as_json=options.json)
    if not options.json:
        verb = "would become free" if options.dry_run else "became free"
        say(f"{size_text(freed)} {verb}" if found else "there is nothing to remove")
    return FAILED if failed else DONE


def _kept_by_models(name: str) -> set[str]:
    """The keys that the Models in a file want; none without a file.

    Raises:
        ValueError: it does not hold Models.
        OSError: it cannot be read.
    """
    if not name:
        return set()
    text = sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
    return keys_of_models(json.loads(text))


def _removed(root: Path, one: Leftover, unused_for: float, now: float) -> str:
    """Remove it; why that was not possible, "" when it was."""
    try:
        asyncio.run(prune(root, one, SystemClock(), unused_for=unused_for, now=now))
    except WeightsError as error:
        return str(error)
    except OSError as error:
        return why(error)
    return ""


def _tell(one: Leftover, problem: str, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        told = {
            "name": one.name,
            "kind": one.kind.value,
            "sizeBytes": one.size,
            "idleSeconds": round(one.idle),
            "source": one.source,
            "removed": not dry_run and not problem,
            "problem": problem,
        }
        say(json.dumps(told))
        return
    verb = "stays" if problem else "would go" if dry_run else "removed"
    idle = format_duration(round(max(0.0, one.idle)))
    what = f" ({one.source})" if one.source else ""
    reason = f": {problem}" if problem else ""
    say(f"{verb}: {one.name} {one.kind.value}{what}, {size_text(one.size)}, idle {idle}{reason}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="runnerd prune",
        description=(
            "Remove from a cache what nobody wants any more: artifacts, broken-off pulls, damaged "
            "files. What is being written is never touched."
        ),
        epilog=(
            "Runners read a cache without leaving a trace: name with --keep or --keep-models what Models use. "
            "Exit status: 0 done, 1 something could not be removed, 2 wrongly called."
        ),
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=Path(os.environ.get("MODELS_PATH", CACHE_MOUNT)),
        metavar="DIR",
        help="the cache (default: $MODELS_PATH or %(default)s)",
    )
    parser.add_argument(
        "--keep", action="append", default=[], metavar="KEY", help="this artifact stays"
    )
    parser.add_argument(
        "--keep-models",
        default="",
        metavar="FILE",
        help="what these Models use stays: kubectl get models -A -o json (-: standard input)",
    )
    parser.add_argument(
        "--unused-for",
        default=_UNUSED_FOR,
        metavar="DURATION",
        help=(
            "only what was neither pulled nor imported, nor found there by a pull or a verify, for "
            "so long (default: %(default)s)"
        ),
    )
    parser.add_argument("--dry-run", action="store_true", help="only tell what would go")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser
