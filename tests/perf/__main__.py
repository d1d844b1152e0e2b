"""`python -m tests.perf [NAME…]`: every benchmark, or the ones named."""

import argparse
import importlib
import sys
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.perf.options import Options

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
    parser.add_argument(
        "--quick", action="store_true", help="a first look: less is measured, numbers scatter more"
    )
    parser.add_argument(
        "--sides",
        metavar="A,B",
        default="",
        help="for the gateway's: which of gateway, nginx, envoy, vllm-router, litellm, haproxy",
    )
    parser.add_argument("--rounds", type=int, help="for the gateway's: how often each is measured")
    parser.add_argument("--seconds", type=float, help="for the gateway's: how long each time")
    given = parser.parse_args()
    chosen = given.names or names()
    if unknown := set(chosen) - set(names()):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    options = Options(
        quick=given.quick,
        sides=tuple(filter(None, given.sides.split(","))),
        rounds=given.rounds,
        seconds=given.seconds,
    )
    return 1 if [name for name in chosen if not _run(name, options)] else 0


def _run(name: str, options: Options) -> bool:
    """One benchmark; what it lacks is told, and the others go on."""
    print(f"\n== {name.replace('_', ' ')}", flush=True)
    try:
        importlib.import_module(f"tests.perf.{_PREFIX}{name}").main(options)
    except ClusterError as error:
        print(f"{name} could not be measured: {error}", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
