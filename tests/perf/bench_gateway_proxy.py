"""What the gateway costs per request, beside nginx, Envoy, vllm-router and LiteLLM.

    python -m tests.perf gateway_proxy [--quick] [--sides gateway,nginx] [--rounds 5] [--seconds 3]

Completions of 1 KB and 64 KB each way, over 1, 32 and 256 connections that ask again as soon as
they are answered. A client repeats its head, as most do; one row of measurements has a request id
of its own in each. Answers have heads like runnerd's, no two the same. One processor for the proxies, another for the load; see `arena`. The gateway
asks for API keys and counts its metrics. `direct` is the model server alone: near its rate the load
is the bottleneck, and only processor time tells proxies apart. Nothing is asserted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.cluster.progress import Progress
from tests.perf.arena import GATEWAY, Arena, Measurement, arena, chosen, running
from tests.perf.figures import ratios, table
from tests.perf.load.requests import completion
from tests.perf.options import USUAL, Options
from tests.perf.peers.side import Proxy
from tests.perf.rounds import DIRECT, Aim, Rounds, complaints, spread, take_turns

_SIDES: Final = (GATEWAY, "nginx", "envoy", "vllm-router", "litellm")
_WARM_UP_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Cell:
    """What is asked, and over how many connections. `ids`: each request has an id of its own."""

    kilobytes: int
    connections: int
    ids: bool = False

    @property
    def title(self) -> str:
        """In words."""
        own = ", each request with an id of its own" * self.ids
        return f"{self.kilobytes} KB each way, {self.connections} connections{own}"

    def request(self, key: str) -> bytes:
        """What is sent."""
        return completion(key, self.kilobytes * 1024, identity="0" * 16 * self.ids)


_CELLS: Final = (
    *(Cell(1, connections) for connections in (1, 32, 256)),
    Cell(1, 32, ids=True),
    *(Cell(64, connections) for connections in (1, 32, 256)),
)


def _per_core(measured: Measurement) -> float:
    """Requests that one processor's whole second is enough for."""
    return measured.report.answers / measured.cpu if measured.cpu else 0.0


def _cpu(measured: Measurement) -> float:
    return measured.cpu_per_answer


_AIMS: Final = (
    Aim("nginx", "CPU per request", _cpu, 1.5),
    Aim("envoy", "req/s per core", _per_core, 1.5, at_most=False),
    Aim("vllm-router", "req/s per core", _per_core, 1.5, at_most=False),
)


def main(options: Options = USUAL) -> None:
    """Measure and print."""
    sides = chosen(options, _SIDES)
    rounds = options.rounds or options.pick(5, 2)
    seconds = options.seconds or options.pick(3.0, 1.0)
    with arena(Progress()) as place, running(sides, place.scene) as proxies:
        print("  ".join(f"{proxy.name} {proxy.version}" for proxy in proxies), flush=True)
        for number, cell in enumerate(_CELLS):
            request = place.request(f"request-{number}", cell.request(place.scene.key))
            with place.scene.progress.during(f"measuring {cell.title}"):
                found = _measure(place, proxies, request, cell, rounds, seconds)
            _show(f"{cell.title}, {rounds} rounds of {seconds:g} s", found)


def _measure(
    place: Arena,
    proxies: Sequence[Proxy],
    request: Path,
    cell: Cell,
    rounds: int,
    seconds: float,
) -> Rounds:
    def one(proxy: Proxy | None, length: float = seconds) -> Measurement:
        return place.measure(
            proxy, request, connections=cell.connections, seconds=length, ids=cell.ids
        )

    for proxy in proxies:
        one(proxy, _WARM_UP_SECONDS)
    return take_turns(proxies, rounds, one)


def _show(title: str, rounds: Rounds) -> None:
    print(f"\n{title}: median [least-most]")
    head = (
        "side",
        "req/s",
        "CPU µs/req",
        "by nginx's",
        "req/s per core",
        "core",
        "p50 ms",
        "p99 ms",
    )
    print(table([head, *(_row(name, rounds) for name in rounds)]))
    for line in (*complaints(rounds), *(told for aim in _AIMS if (told := aim.told(rounds)))):
        print(f"  {line}", flush=True)


def _row(name: str, rounds: Rounds) -> tuple[str, ...]:
    measured = rounds[name]
    rate = spread(measured, lambda one: one.report.per_second).text(0)
    p50, p99 = (
        f"{spread(measured, value).middle / 1e3:.2f}"
        for value in (
            lambda one: one.report.latency.p50,
            lambda one: one.report.latency.p99,
        )
    )
    if name == DIRECT:
        return (name, rate, "", "", "", "", p50, p99)
    beside = ""
    if name != "nginx" and "nginx" in rounds:
        own, floor = ([_cpu(one) for one in rounds[side]] for side in (name, "nginx"))
        beside = ratios(own, floor).text(2)
    return (
        name,
        rate,
        spread(measured, _cpu).text(1),
        beside,
        f"{spread(measured, _per_core).middle:,.0f}",
        f"{spread(measured, lambda one: one.busy).middle:.0%}",
        p50,
        p99,
    )


if __name__ == "__main__":
    main()
