"""`runnerd package`: a model's files into a registry, or into a folder."""

import argparse
import asyncio
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from modelrunner_protocol.references import Location, locate
from runnerd import logs
from runnerd.weights.failure import TransientError, WeightsError
from runnerd.weights.http_session import new_session
from runnerd.weights.oci.credentials import DOCKER_CONFIG, docker_keyring
from runnerd.weights.oci.package import Ingredients, Package, build, write_layout
from runnerd.weights.oci.push import push
from runnerd.weights.settings import LOG_LEVEL, Settings
from runnerd.weights.spoken import why

logger = logging.getLogger(__name__)


def package(arguments: Sequence[str]) -> int:
    """Package the files that the arguments name; 0 when all that was asked for is done."""
    options = _parser().parse_args(arguments)
    logs.set_up(os.environ.get(LOG_LEVEL, ""), sys.stderr)
    try:
        # Before anything is hashed, which may take minutes.
        location = locate(options.push) if options.push else None
        settings = Settings.from_environment(os.environ)
        made = build(
            Ingredients(
                weights=options.files,
                projector=options.mmproj,
                chat_template=options.chat_template,
                licenses=options.license,
            )
        )
        if options.output is not None:
            write_layout(made, options.output, options.push)
        if location is not None:
            asyncio.run(_push(made, location, settings, insecure=options.insecure))
    except (WeightsError, TransientError, OSError, ValueError) as error:
        logger.error("%s", why(error))  # noqa: TRY400  # the stack tells a user nothing
        return 1
    found = {"digest": made.digest, "sizeBytes": made.size, "reference": options.push}
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


async def _push(made: Package, location: Location, settings: Settings, *, insecure: bool) -> None:
    keyring = docker_keyring(os.environ)
    async with new_session(settings.stall_timeout) as session:
        await push(made, location, session, keyring, insecure=insecure)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="runnerd package",
        description="Make an OCI artifact (Docker's model layout) of a GGUF or safetensors model.",
        epilog=f"Credentials are read from ${DOCKER_CONFIG}/config.json or ~/.docker/config.json.",
    )
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="the GGUF model, all shards; or the folder of a safetensors model",
    )
    parser.add_argument("--push", default="", metavar="REF", help="push it under this reference")
    parser.add_argument("--output", type=Path, metavar="DIR", help="write it as an OCI layout")
    parser.add_argument("--mmproj", type=Path, metavar="FILE", help="a multimodal projector")
    parser.add_argument("--chat-template", type=Path, metavar="FILE", help="a Jinja chat template")
    parser.add_argument(
        "--license", type=Path, action="append", default=[], metavar="FILE", help="may be repeated"
    )
    parser.add_argument(
        "--insecure", action="store_true", help="push over plain http, credentials included"
    )
    return parser
