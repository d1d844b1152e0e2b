"""`python -m tests.perf [NAME…]`: every benchmark, or the ones named."""

import argparse
import importlib
import sys
from pathlib import Path

_PREFIX = "bench_"


def names() -> list[str]:
    """The benchmarks that there are."""
    files = sorted(Path(__file__).parent.glob(f"{_PREFIX}*.py"))
    return [file.stem.removeprefix(_PREFIX) for file in files]


def main() -> int:
    """Run the benchmarks one after the other."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.perf",
        description="Benchmarks; both sides of a comparison in one run, ratios printed.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(names())}")
    chosen = parser.parse_args().names or names()
    if unknown := set(chosen) - set(names()):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    for name in chosen:
        print(f"\n== {name.replace('_', ' ')}", flush=True)
        importlib.import_module(f"tests.perf.{_PREFIX}{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
