"""What the gateway costs per event of a stream, and how much later events arrive.

    python -m tests.perf gateway_streams [--quick] [--sides gateway,nginx] [--rounds 3]

1,000 streams with an event every 20 ms each. Every event holds the moment it was sent, so that
its delay is seen at the other end; `direct` is the model server alone. Nothing is asserted.
"""

from typing import Final

from tests.cluster.progress import Progress
from tests.perf.arena import GATEWAY, PACE_MICROSECONDS, Measurement, arena, chosen, running
from tests.perf.figures import ratios, table
from tests.perf.load.requests import stream
from tests.perf.options import USUAL, Options
from tests.perf.peers.side import Proxy
from tests.perf.rounds import DIRECT, Aim, Rounds, complaints, spread, take_turns

# LiteLLM needs a hundred times the processor there is for this; it can be asked for by name.
_SIDES: Final = (GATEWAY, "nginx", "envoy", "vllm-router")
_STREAMS: Final = 1000
_EVENTS: Final = 200
_RAMP_SECONDS: Final = 1.0


def _cpu(measured: Measurement) -> float:
    return measured.cpu_per_event


_AIMS: Final = (Aim("nginx", "CPU per event", _cpu, 1.2),)


def main(options: Options = USUAL) -> None:
    """Measure and print."""
    sides = chosen(options, _SIDES)
    rounds = options.rounds or options.pick(3, 1)
    seconds = options.seconds or options.pick(8.0, 3.0)
    with arena(Progress()) as place, running(sides, place.scene) as proxies:
        request = place.request("stream", stream(place.scene.key, _EVENTS))

        def one(proxy: Proxy | None) -> Measurement:
            name = proxy.name if proxy else DIRECT
            with place.scene.progress.during(f"{_STREAMS} streams through {name}"):
                return place.measure(
                    proxy,
                    request,
                    connections=_STREAMS,
                    seconds=seconds,
                    ramp=_RAMP_SECONDS,
                    cut=True,
                )

        found = take_turns(proxies, rounds, one)
        _show(found, rounds, seconds)


def _show(rounds: Rounds, count: int, seconds: float) -> None:
    pace = 1e6 / PACE_MICROSECONDS
    print(
        f"\n{_STREAMS} streams of {_EVENTS} events, {pace:.0f} a second each,"
        f" {count} rounds of {seconds:g} s: median [least-most]"
    )
    head = ("side", "events/s", "CPU µs/event", "by nginx's", "core", "delay p50 ms", "p99 ms")
    rows = [(*_row(name, rounds), _first(rounds, name)) for name in rounds]
    print(table([(*head, "first byte p50 ms"), *rows]))
    for line in (*complaints(rounds), *(told for aim in _AIMS if (told := aim.told(rounds)))):
        print(f"  {line}", flush=True)


def _row(name: str, rounds: Rounds) -> tuple[str, ...]:
    measured = rounds[name]
    rate = spread(measured, lambda one: one.report.events / one.report.seconds).text(0)
    delays = (
        f"{spread(measured, lambda one: one.report.delay.p50).middle / 1e3:.2f}",
        f"{spread(measured, lambda one: one.report.delay.p99).middle / 1e3:.2f}",
    )
    if name == DIRECT:
        return (name, rate, "", "", "", *delays)
    beside = ""
    if name != "nginx" and "nginx" in rounds:
        own, floor = ([_cpu(one) for one in rounds[side]] for side in (name, "nginx"))
        beside = ratios(own, floor).text(2)
    busy = f"{spread(measured, lambda one: one.busy).middle:.0%}"
    return (name, rate, spread(measured, _cpu).text(1), beside, busy, *delays)


def _first(rounds: Rounds, name: str) -> str:
    return f"{spread(rounds[name], lambda one: one.report.first_byte.p50).middle / 1e3:.2f}"


if __name__ == "__main__":
    main()
