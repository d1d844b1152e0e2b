"""`runnerd serve`: its arguments, its settings, its signals."""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Final

from runnerd.config import ConfigError
from runnerd.engines.command import find_llama_server, first_arguments
from runnerd.logs import set_up
from runnerd.server.listener import open_listener
from runnerd.server.port import read_less_at_once
from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.catalogue.index_file import BrokenIndexError
from runnerd.standalone.management.logs import LogTail
from runnerd.standalone.process import StandAlone
from runnerd.standalone.settings import ServeSettings, read_serve_settings
from runnerd.weights.settings import Settings as PullSettings

log = logging.getLogger(__name__)

_ABOUT: Final = """\
Serve models on one machine, as Docker Model Runner does: pull them, load them when they are asked
for, unload them when they are idle. Clients of OpenAI, Anthropic, Ollama and Docker Model Runner
find it at http://localhost:12434."""

_VARIABLES: Final = """\
environment (more of it: docs/reference/serve.md):
  MODEL_RUNNER_PORT    the port, 12434
  RUNNERD_HOST         the address to listen on: all of them
  MODELS_PATH          where models are kept: /models if that can be written, else
                       ~/.local/share/model-runner/models
  MODELS               models to pull at the start, separated by commas
  DEFAULT_MODEL        the model of requests that name none
  LLAMA_SERVER_PATH    the program, /app/llama-server or from PATH
  LLAMA_ARGS           its first arguments, "-ngl 999 --metrics"
  GPU_ENABLED          0: keep models in main memory
  RUNNERD_SLOTS        engines at once: one per processor, at most 8
  RUNNERD_MEMORY       bytes for all of them, e.g. 8Gi: 90 % of what is free
  RUNNERD_KEEP_ALIVE   how long an idle engine stays, 5m; -1: for ever
  DEFAULT_REGISTRY     of names without one, instead of the Docker Hub
  INSECURE_REGISTRY    1: registries are spoken to over plain http
  HF_TOKEN             for the Hugging Face Hub
  DMR_ORIGINS          web pages that may call, separated by commas; "*": all
  DISABLE_METRICS      1: nothing is told at /metrics
  LOG_LEVEL            debug, info, warning or error
"""


def serve(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT.

    Returns:
        0 after a drain, 1 when the server failed, 2 when it cannot be run as it is told.
    """
    try:
        settings = read_serve_settings(_environment(arguments))
        patience = PullSettings.from_environment(os.environ)
        find_llama_server(settings.engine.llama_server)
        first_arguments(settings.engine.llama_args or "")
        # Before the store is looked at: what is found there is told as everything else is.
        set_up(settings.engine.log_level)
        catalogue = _catalogue(settings)
        listener = open_listener(settings.port, settings.engine.stall_timeout, settings.host)
    except (ConfigError, ValueError) as error:
        print(f"runnerd serve: {error}", file=sys.stderr)  # noqa: T201  # the answer of a command
        return 2
    tail = LogTail()
    logging.getLogger().addHandler(tail)
    read_less_at_once()
    return 0 if asyncio.run(_run(settings, listener, catalogue, patience, tail)) else 1


async def _run(
    settings: ServeSettings,
    listener: socket.socket,
    catalogue: Catalogue,
    patience: PullSettings,
    tail: LogTail,
) -> bool:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = StandAlone(settings, listener, catalogue=catalogue, patience=patience, tail=tail)
    return await server.serve(stop)


def _environment(arguments: Sequence[str]) -> dict[str, str]:
    """The environment, with what the command line says in its place."""
    parser = argparse.ArgumentParser(
        prog="runnerd serve",
        description=_ABOUT,
        epilog=_VARIABLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--port", metavar="N", help="instead of MODEL_RUNNER_PORT")
    parser.add_argument("--host", metavar="ADDRESS", help="instead of RUNNERD_HOST")
    parser.add_argument("--models-path", metavar="FOLDER", help="instead of MODELS_PATH")
    given = parser.parse_args(arguments)
    said = {
        "MODEL_RUNNER_PORT": given.port,
        "RUNNERD_HOST": given.host,
        "MODELS_PATH": given.models_path,
    }
    return {**os.environ, **{name: text for name, text in said.items() if text}}


def _catalogue(settings: ServeSettings) -> Catalogue:
    path = settings.models_path
    try:
        catalogue = Catalogue(path, default_registry=settings.default_registry)
        catalogue.sweep()
    except BrokenIndexError as error:
        raise ConfigError(f"MODELS_PATH: {error}") from error
    except OSError as error:
        text = f"MODELS_PATH: {path} cannot be used: {error.strerror or error}"
        raise ConfigError(f"{text}. Name a folder that can be written") from error
    return catalogue
