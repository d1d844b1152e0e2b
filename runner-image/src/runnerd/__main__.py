"""`runnerd run | resolve | pull | package`: one program, imported only as far as the command needs."""

import sys
import time
from typing import Final

_STARTED_AT: Final = time.time()

_USAGE: Final = """usage: runnerd COMMAND

Commands:
  run       serve one model: start the engine, supervise it, answer HTTP (RUNNERD_CONFIG)
  resolve   find out what a source holds, without downloading it (RUNNERD_PULL)
  pull      download a source into the cache (RUNNERD_PULL)
  package   make an OCI artifact of GGUF files, and push it (package --help)

Options:
  --version, --help

The first three read their work as JSON from the environment variable in brackets and write their
outcome as JSON to /dev/termination-log (TERMINATION_LOG). The other settings, all variables of
the environment, are described in runnerd/config.py.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 failed, 2 wrongly called."""
    match sys.argv[1:] if arguments is None else arguments:
        case ["run"]:
            from runnerd.server.run import run  # noqa: PLC0415  # the pulls never need it

            return run(started_at=_STARTED_AT)
        case ["resolve" | "pull" as command]:
            from runnerd.weights import cli  # noqa: PLC0415  # a runner never needs it

            return cli.resolve() if command == "resolve" else cli.pull()
        case ["package", *rest]:
            from runnerd.weights.oci.cli import package  # noqa: PLC0415  # pods never need it

            return package(rest)
        case ["--version"]:
            from importlib.metadata import version  # noqa: PLC0415  # slow to import

            print(version("runnerd"))  # noqa: T201  # the answer of a command
            return 0
        case ["--help" | "-h" | "help"]:
            print(_USAGE, end="")  # noqa: T201  # the answer of a command
            return 0
        case _:
            print(_USAGE, end="", file=sys.stderr)  # noqa: T201  # the answer of a command
            return 2


if __name__ == "__main__":
    sys.exit(main())
