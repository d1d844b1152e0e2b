"""`runnerd run | serve | resolve | pull | verify | …`: one program, imported only as far as it needs."""

import gc
import os
import sys
import time
from typing import Final, NoReturn

_STARTED_AT: Final = time.time()

_USAGE: Final = """usage: runnerd COMMAND

Commands:
  run       serve one model: start the engine, supervise it, answer HTTP (RUNNERD_CONFIG)
  serve     serve many models on one machine, as Docker Model Runner does (serve --help)
  resolve   find out what a source holds, without downloading it (RUNNERD_PULL)
  pull      download a source into the cache (RUNNERD_PULL, or pull SOURCE: pull --help)
  verify    hash what a cache holds, set damaged files apart (RUNNERD_PULL, or verify --help)
  import    put files of this machine into a cache, as if they had been pulled (import --help)
  prune     remove from a cache what nobody wants any more (prune --help)
  package   make an OCI artifact of GGUF files, and push it (package --help)

Options:
  --version, --help

run, resolve, pull and verify read their work as JSON from the environment variable in brackets and write their
outcome as JSON to /dev/termination-log (TERMINATION_LOG). The other settings, all variables of
the environment, are described in runnerd/config.py.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 failed, 2 wrongly called."""
    match sys.argv[1:] if arguments is None else arguments:
        case ["run"]:
            from runnerd.server.run import run

            return run(started_at=_STARTED_AT)
        case ["serve", *rest]:
            # Imports make few cycles and many objects; the collector is back once it listens.
            gc.disable()
            _without_netrc()
            from runnerd.standalone.main import serve

            return serve(rest)
        case ["resolve" | "pull" | "verify" as command] if _is_job(command):
            return _job(command)
        case ["package" | "verify" | "pull" | "import" | "prune" as command, *rest]:
            return _tool(command, rest)
        case ["--version" | "--help" | "-h" | "help" as word]:
            print(_version() if word == "--version" else _USAGE.strip())  # noqa: T201  # the answer of a command
            return 0
        case _:
            print(_USAGE, end="", file=sys.stderr)  # noqa: T201  # the answer of a command
            return 2


def _is_job(command: str) -> bool:
    # People call it without arguments, too, and mean a whole cache.
    return command != "verify" or bool(os.environ.get("RUNNERD_PULL"))


def _job(command: str) -> int:
    """What pods do before there is a runner."""
    _collect_seldom()
    _without_netrc()
    from runnerd.weights import cli

    return {"resolve": cli.resolve, "pull": cli.pull, "verify": cli.verify}[command]()


def _tool(command: str, arguments: list[str]) -> int:
    """What people call by hand; pods never need it."""
    _collect_seldom()
    _without_netrc()
    if command == "pull":
        from runnerd.weights.pull_cli import pull_by_hand

        return pull_by_hand(arguments)
    if command == "verify":
        from runnerd.weights.verify_cli import verify_cache

        return verify_cache(arguments)
    if command == "import":
        from runnerd.weights.import_cli import import_by_hand

        return import_by_hand(arguments)
    if command == "prune":
        from runnerd.weights.prune_cli import prune_cache

        return prune_cache(arguments)
    from runnerd.weights.oci.cli import package

    return package(arguments)


def _collect_seldom() -> None:
    # Imports make few cycles and many objects, and so does the work after them.
    gc.set_threshold(50_000)


def _without_netrc() -> None:
    # A person's .netrc would be shown to whatever host is named there, and it would stand beside the
    # Authorization of a Secret, which is refused.
    os.environ["NETRC"] = os.devnull


def _version() -> str:
    from importlib.metadata import version

    return version("runnerd")


def command() -> NoReturn:
    """Run what the command line says, and end the process."""
    status = main()
    if "obstore" in sys.modules:
        # Its threads touch Python objects when they like, and abort a process whose interpreter
        # is at its end (PyO3/pyo3-async-runtimes issue 40): all is written, so there is none.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    command()
