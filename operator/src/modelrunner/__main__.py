"""The command line: `modelrunner operator`, `gateway`, `crds`, `api-key`."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Final

from modelrunner import crds_command
from modelrunner.config import ConfigError, OperatorSettings
from modelrunner.gateway.settings import GatewaySettings

USAGE: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; gives the exit status.

    0: done. 1: failed. 2: wrong usage or settings. 3: the operator lost its lease.
    """
    parser = argparse.ArgumentParser(
        prog="modelrunner", description="Runs language models on Kubernetes."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser(
        "operator",
        help="run the operator",
        description="Runs the operator until SIGTERM. It is configured by environment variables"
        " (POD_NAMESPACE, MODELRUNNER_*: see modelrunner/config.py); the cluster comes from"
        " $KUBECONFIG, else from the pod's service account.",
    )
    commands.add_parser(
        "gateway",
        help="run the gateway",
        description="Runs the gateway until SIGTERM. It is configured by environment variables"
        " (docs/reference/gateway-settings.md); the cluster comes from $KUBECONFIG, else from the"
        " pod's service account.",
    )
    # Their own parsers read what follows, --help included.
    commands.add_parser("crds", help="write the CustomResourceDefinitions", add_help=False)
    commands.add_parser("api-key", help="make an API key for the gateway", add_help=False)
    given, rest = parser.parse_known_args(arguments)
    if given.command == "crds":
        return crds_command.main(rest)
    if given.command == "api-key":
        return _api_key(rest)
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return _operator() if given.command == "operator" else _gateway()


def _operator() -> int:
    try:
        settings = OperatorSettings.from_environment(os.environ)
    except ConfigError as error:
        sys.stderr.write(f"modelrunner operator: {error}\n")
        return USAGE
    # Not above: the other commands need neither the framework nor the API client.
    from modelrunner.manager.process import serve  # noqa: PLC0415
    from modelrunner.manager.wiring import build  # noqa: PLC0415

    return asyncio.run(serve(settings, build))


def _gateway() -> int:
    try:
        settings = GatewaySettings.from_environment(os.environ)
    except ConfigError as error:
        sys.stderr.write(f"modelrunner gateway: {error}\n")
        return USAGE
    # Not above, as for the operator.
    from modelrunner.gateway.process import run  # noqa: PLC0415

    return run(settings)


def _api_key(arguments: Sequence[str]) -> int:
    from modelrunner.gateway.auth import command  # noqa: PLC0415 - the others need none of it

    return command.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
