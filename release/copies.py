"""`python -m release.copies [--check]`: the chart's copies of the CustomResourceDefinitions."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
CHART: Final = ROOT / "charts" / "model-runner-operator"
_SOURCE: Final = ROOT / "crds"
_TARGET: Final = CHART / "files" / "crds"


def differences(source: Path = _SOURCE, target: Path = _TARGET) -> list[str]:
    """Names of files that are missing in `target`, differ from `source`, or are too many."""
    names = {file.name for folder in (source, target) for file in folder.glob("*.yaml")}
    return sorted(name for name in names if _content(source / name) != _content(target / name))


def copy(source: Path = _SOURCE, target: Path = _TARGET) -> None:
    """Make `target` hold exactly the YAML files of `source`."""
    target.mkdir(parents=True, exist_ok=True)
    for name in differences(source, target):
        content = _content(source / name)
        if content is None:
            (target / name).unlink()
        else:
            (target / name).write_bytes(content)


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def main(words: Sequence[str] | None = None) -> int:
    """Copy, or only tell what would change."""
    parser = argparse.ArgumentParser(prog="python -m release.copies", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail on a difference")
    if not parser.parse_args(words).check:
        copy()
        return 0
    stale = differences()
    for name in stale:
        sys.stderr.write(f"{_TARGET.relative_to(ROOT) / name} is not a copy: run make crds\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
