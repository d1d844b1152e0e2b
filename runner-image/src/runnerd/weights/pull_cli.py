"""`runnerd pull SOURCE`: by hand, into a folder, with a bar that shows how far it is."""

import argparse
import asyncio
import json
import math
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from modelrunner_protocol.codec import to_dict
from modelrunner_protocol.durations import format_duration
from modelrunner_protocol.sources import artifact_key, describe, parse_source
from modelrunner_protocol.wire import CACHE_MOUNT, PullConfig, Source
from runnerd import logs
from runnerd.weights.cli import pull_by, until_stopped
from runnerd.weights.clock import SystemClock
from runnerd.weights.disk import size_text
from runnerd.weights.failure import WeightsError
from runnerd.weights.progress import ProgressMeter
from runnerd.weights.report import reporting
from runnerd.weights.settings import LOG_LEVEL, Settings
from runnerd.weights.spoken import artifact_words, fail, say, why

DONE: Final = 0
FAILED: Final = 1
WRONG: Final = 2
STOPPED: Final = 130

_COMMAND: Final = "pull"

_INTERVAL: Final = 0.5


def pull_by_hand(arguments: Sequence[str]) -> int:
    """Pull what the arguments name; 0 when all of it is in the folder."""
    options = _parser().parse_args(arguments)
    logs.set_up(os.environ.get(LOG_LEVEL, "") or "warning", sys.stderr)
    try:
        source = parse_source(options.source, insecure=options.insecure)
        settings = Settings.from_environment(os.environ)
    except ValueError as error:
        return fail(_COMMAND, str(error), WRONG, as_json=options.json)
    try:
        options.root.mkdir(parents=True, exist_ok=True)
        told = asyncio.run(until_stopped(_pull(source, options.root, settings, options.json)))
    except (WeightsError, OSError) as error:
        return fail(_COMMAND, why(error), FAILED, as_json=options.json)
    except asyncio.CancelledError:
        return fail(
            _COMMAND,
            "stopped; what came is kept: the same command goes on",
            STOPPED,
            as_json=options.json,
        )
    say(json.dumps(told) if options.json else artifact_words(told, _how_it_came(told)))
    return DONE


async def _pull(source: Source, root: Path, settings: Settings, as_json: bool) -> dict[str, Any]:
    clock = SystemClock()
    meter = ProgressMeter(clock)
    key, begun = artifact_key(source), clock.now()
    config = PullConfig(source=source, key=key, root=str(root))
    telling = _telling(meter) if as_json else reporting(meter, clock, sys.stderr)
    async with telling:
        artifact = await pull_by(config, settings, meter, clock)
    return {
        "source": describe(source),
        "folder": str(root / key),
        "downloadedBytes": meter.downloaded,
        "resumedBytes": meter.resumed,
        "seconds": round(clock.now() - begun, 3),
        "retries": meter.retries,
        "artifact": to_dict(artifact),
    }


@asynccontextmanager
async def _telling(meter: ProgressMeter) -> AsyncIterator[None]:
    """A JSON line twice a second, as pods tell it."""

    async def tell() -> None:
        while True:
            say(json.dumps(to_dict(meter.progress())))
            await asyncio.sleep(_INTERVAL)

    task = asyncio.create_task(tell())
    try:
        yield
    finally:
        task.cancel()
        say(json.dumps(to_dict(meter.progress())))


def _how_it_came(told: Mapping[str, Any]) -> str:
    came, seconds, resumed = told["downloadedBytes"], told["seconds"], told["resumedBytes"]
    if not came:
        return "it was there already"
    rest = f"; {size_text(resumed)} were there" if resumed else ""
    rate = f", {size_text(came / seconds)}/s" if seconds else ""
    return f"{size_text(came)} came in {format_duration(math.ceil(seconds))}{rate}{rest}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="runnerd pull",
        description=(
            "Download a model into a folder; what an earlier pull left is gone on with. Without "
            "SOURCE the work is read from RUNNERD_PULL, as in a pod."
        ),
        epilog="Exit status: 0 done, 1 failed, 2 wrongly called, 130 stopped.",
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help=(
            "ai/smollm2 (a registry), hf.co/owner/name:Q4_K_M (the Hub), s3://bucket/folder (S3), "
            "gs://bucket/folder (Google Cloud Storage), az://account/container/folder (Azure) or "
            "https://… (a file)"
        ),
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=Path(os.environ.get("MODELS_PATH", CACHE_MOUNT)),
        metavar="DIR",
        help="where to (default: $MODELS_PATH or %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="progress and result as JSON lines")
    parser.add_argument(
        "--insecure", action="store_true", help="the registry or store is spoken to over plain http"
    )
    return parser
