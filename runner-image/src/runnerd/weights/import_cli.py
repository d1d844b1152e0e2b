"""`runnerd import SOURCE FILE…`: fills a cache by hand, where there is no network."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from modelrunner_protocol.codec import to_dict
from modelrunner_protocol.sources import describe, file_name, parse_source
from modelrunner_protocol.wire import CACHE_MOUNT, Source
from runnerd import logs
from runnerd.weights.cli import until_stopped
from runnerd.weights.clock import SystemClock
from runnerd.weights.disk import failure_of
from runnerd.weights.failure import WeightsError
from runnerd.weights.importing import Import, Imported
from runnerd.weights.local_files import local_files
from runnerd.weights.names import weight_names
from runnerd.weights.progress import ProgressMeter
from runnerd.weights.report import reporting
from runnerd.weights.settings import LOG_LEVEL
from runnerd.weights.spec_source import source_of_spec
from runnerd.weights.spoken import artifact_words, fail, say, why

DONE: Final = 0
FAILED: Final = 1
WRONG: Final = 2
STOPPED: Final = 130

_COMMAND: Final = "import"

_STDIN: Final = Path("-")


def import_by_hand(arguments: Sequence[str]) -> int:
    """Import what the arguments name; 0 when all of it is in the cache."""
    options = _parser().parse_args(arguments)
    logs.set_up(os.environ.get(LOG_LEVEL, "") or "warning", sys.stderr)
    try:
        source, paths = _meant(options)
    except (ValueError, OSError) as error:
        return fail(_COMMAND, why(error), WRONG, as_json=options.json)
    try:
        found = asyncio.run(until_stopped(_import(source, paths, options)))
    except WeightsError as error:
        return fail(_COMMAND, str(error), FAILED, as_json=options.json)
    except OSError as error:
        on_volume = str(error.filename or "").startswith(str(options.root))
        message = str(failure_of(error, options.root, 0)) if on_volume else why(error)
        return fail(_COMMAND, message, FAILED, as_json=options.json)
    except asyncio.CancelledError:
        return fail(_COMMAND, "stopped; nothing is in the cache", STOPPED, as_json=options.json)
    told = _told(source, found)
    say(json.dumps(told) if options.json else _in_words(told))
    return DONE


def _meant(options: argparse.Namespace) -> tuple[Source, list[Path]]:
    """The source, and where its files are.

    Raises:
        ValueError: the arguments do not name both.
    """
    words = [str(word) for word in options.words]
    if options.source_json:
        from_stdin = options.source_json == "-"
        text = sys.stdin.read() if from_stdin else Path(options.source_json).read_text("utf-8")
        source = source_of_spec(json.loads(text))
    elif words:
        source = parse_source(words.pop(0), insecure=options.insecure)
    else:
        raise ValueError("name a source, as a Model would have it")
    paths = [Path(word) for word in words] + ([options.folder] if options.folder else [])
    if not paths:
        raise ValueError("name the model's files, a folder with --from, or - for standard input")
    if _STDIN in paths and (len(paths) > 1 or options.source_json == "-"):
        raise ValueError("standard input is one file, and nothing else")
    return source, paths


async def _import(source: Source, paths: list[Path], options: argparse.Namespace) -> Imported:
    clock = SystemClock()
    meter = ProgressMeter(clock)
    work = Import(
        source=source,
        root=options.root,
        meter=meter,
        clock=clock,
        sha256=options.sha256,
        move=options.move,
        key=options.key,
    )
    async with reporting(meter, clock, sys.stderr):
        if paths == [_STDIN]:
            name = file_name(source.http) if source.http else weight_names(1)[0]
            return await work.stream(sys.stdin.buffer, name)
        return await work.files(local_files(source, paths))


def _told(source: Source, found: Imported) -> dict[str, Any]:
    return {
        "source": describe(source),
        "folder": str(found.folder),
        "keys": list(found.keys),
        "there": found.there,
        "artifact": to_dict(found.artifact),
    }


def _in_words(told: Mapping[str, Any]) -> str:
    return artifact_words(told, "it was there already" if told["there"] else "imported")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="runnerd import",
        usage="runnerd import [options] SOURCE FILE... | SOURCE --from DIR | SOURCE -",
        description=(
            "Put files of this machine into a cache, so that a Model with that source finds them and "
            "nothing is downloaded."
        ),
        epilog="Exit status: 0 done (or there already), 1 failed, 2 wrongly called, 130 stopped.",
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="SOURCE FILE",
        help=(
            "the source as for runnerd pull: ai/smollm2, hf.co/owner/name:Q4_K_M, s3://bucket/folder, "
            "https://…; then the model's files (all shards, the projector), or - for standard input"
        ),
    )
    parser.add_argument(
        "--from", dest="folder", type=Path, metavar="DIR", help="a folder with the files"
    )
    parser.add_argument(
        "--source-json",
        metavar="FILE",
        help="read the source from a Model, or its spec.source, as JSON (-: standard input)",
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=Path(os.environ.get("MODELS_PATH", CACHE_MOUNT)),
        metavar="DIR",
        help="the cache (default: $MODELS_PATH or %(default)s)",
    )
    parser.add_argument("--key", default="", help="the folder's name, if you know it better")
    parser.add_argument("--sha256", default="", help="what the file has to have")
    parser.add_argument("--move", action="store_true", help="the files leave their place")
    parser.add_argument(
        "--insecure", action="store_true", help="the Model says insecure: true (another key)"
    )
    parser.add_argument("--json", action="store_true", help="the result as a JSON line")
    return parser
