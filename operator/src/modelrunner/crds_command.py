"""`modelrunner crds`: write what is made from the models, or say what is not up to date."""

import argparse
import difflib
import sys
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from modelrunner.api.crds import HEADER, manifests
from modelrunner.api.reference import custom_resources_page, runtime_flags_page

_ENGINES = ("llama.cpp",)


def main(argv: Sequence[str]) -> int:
    """Run the command with the arguments after its name; 0, or 1 where --check found a drift."""
    arguments = _parser().parse_args(argv)
    wanted = {arguments.directory / name: text for name, text in manifests().items()}
    stale = _stale(arguments.directory, wanted)
    if arguments.reference:
        wanted |= {arguments.reference / name: text for name, text in _pages().items()}
    if arguments.check:
        return _check(wanted, stale)
    _write(wanted, stale)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="modelrunner crds",
        description="Writes the CustomResourceDefinitions, made from the API's models.",
    )
    parser.add_argument(
        "directory", type=Path, metavar="DIR", help="where the definitions are, e.g. crds"
    )
    parser.add_argument(
        "--reference",
        type=Path,
        metavar="DIR",
        help="where the reference pages are, e.g. docs/reference; not written when absent",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; fail with a diff if a file would change",
    )
    return parser


def _pages() -> dict[str, str]:
    lists = files("modelrunner_protocol") / "allowlists"
    flags = {engine: (lists / f"{engine}.txt").read_text("utf-8") for engine in _ENGINES}
    return {
        "custom-resources.md": custom_resources_page(),
        "runtime-flags.md": runtime_flags_page(flags),
    }


def _stale(directory: Path, wanted: Mapping[Path, str]) -> list[Path]:
    """Definitions that an earlier version of this command wrote and this one does not."""
    return [
        path
        for path in sorted(directory.glob("*.yaml"))
        if path not in wanted and path.read_text("utf-8").startswith(HEADER)
    ]


def _write(wanted: Mapping[Path, str], stale: Sequence[Path]) -> None:
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    for path in stale:
        path.unlink()


def _check(wanted: Mapping[Path, str], stale: Sequence[Path]) -> int:
    changes = [*wanted.items(), *((path, "") for path in stale)]
    diff = "".join(_diff(path, text) for path, text in changes)
    if not diff:
        return 0
    sys.stdout.write(diff)
    sys.stderr.write("These files are not what the models say: run `make crds` and commit.\n")
    return 1


def _diff(path: Path, text: str) -> str:
    found = path.read_text("utf-8") if path.exists() else ""
    return "".join(
        difflib.unified_diff(
            found.splitlines(keepends=True),
            text.splitlines(keepends=True),
            str(path),
            f"{path} (from the models)",
        )
    )
