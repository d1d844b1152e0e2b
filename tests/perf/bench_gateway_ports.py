"""A minute and more at full speed against one endpoint: does the gateway run out of ports?

    python -m tests.perf gateway_ports [--quick] [--seconds 75]

A proxy that opens a connection for each request can keep up about 470 of them a second: 28,000
local ports, each blocked for a minute. The load is 64 connections that ask again at once, far
above 1,000 requests a second. Watched every second: sockets of this machine towards the endpoint
by state, and the rate. Nothing is asserted.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.cluster.progress import Progress
from tests.perf.arena import GATEWAY, Arena, arena, chosen
from tests.perf.figures import table
from tests.perf.load.generator import Report
from tests.perf.load.requests import completion
from tests.perf.options import USUAL, Options
from tests.perf.peers.side import Proxy

_SIDES: Final = (GATEWAY,)
_CONNECTIONS: Final = 64
_WANTED_PER_SECOND: Final = 1000
_STATES: Final = {"01": "open", "06": "time wait"}


@dataclass(frozen=True)
class Watched:
    """One side's minute; `most` are the most sockets seen in each state."""

    report: Report
    most: dict[str, int]
    memory: tuple[float, float]


def main(options: Options = USUAL) -> None:
    """Measure and print."""
    sides = chosen(options, _SIDES)
    seconds = options.seconds or options.pick(75.0, 10.0)
    found: dict[str, Watched] = {}
    with arena(Progress()) as place:
        for side in sides:
            with side.run(place.scene) as proxy:
                found[side.name] = _watch(place, proxy, seconds)
    _show(found, seconds)


def _watch(place: Arena, proxy: Proxy, seconds: float) -> Watched:
    request = place.request("completion", completion(place.scene.key, 1024))
    before, most, pause = proxy.memory_mib(), Counter[str](), threading.Event()
    end = time.monotonic() + seconds

    def left() -> str:
        return f"{end - time.monotonic():.0f} s left, sockets at most {dict(most)}"

    with (
        place.scene.progress.during(f"one endpoint behind {proxy.name}", left),
        place.load(proxy.address, request, connections=_CONNECTIONS, seconds=seconds) as load,
    ):
        while time.monotonic() < end:
            for state, count in _sockets(place.scene.backend).items():
                most[state] = max(most[state], count)
            pause.wait(1.0)
        report = load.report()
    return Watched(report, dict(most), (before, proxy.memory_mib()))


def _sockets(address: tuple[str, int]) -> Counter[str]:
    """This machine's sockets that are connected to `address`, by state."""
    lines = Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]
    return towards(address, lines)


def towards(address: tuple[str, int], lines: Iterable[str]) -> Counter[str]:
    """Count lines of /proc/net/tcp with this remote address, by state."""
    host = "".join(f"{int(part):02X}" for part in reversed(address[0].split(".")))
    wanted = f"{host}:{address[1]:04X}"
    found = Counter[str]()
    for line in lines:
        fields = line.split()
        if fields[2] == wanted:
            found[_STATES.get(fields[3], "other")] += 1
    return found


def _show(found: dict[str, Watched], seconds: float) -> None:
    print(f"\n{_CONNECTIONS} connections for {seconds:g} s against one endpoint")
    head = ("side", "requests", "req/s", "not answered", "open at most", "time wait at most", "MiB")
    rows: list[tuple[str, ...]] = [head]
    for name, seen in found.items():
        rows.append(
            (
                name,
                f"{seen.report.answers:,}",
                f"{seen.report.per_second:,.0f}",
                f"{seen.report.bad}",
                f"{seen.most.get('open', 0)}",
                f"{seen.most.get('time wait', 0)}",
                f"{seen.memory[0]:.1f} to {seen.memory[1]:.1f}",
            )
        )
    print(table(rows))
    for name, seen in found.items():
        fast = seen.report.per_second > _WANTED_PER_SECOND
        verdict = "met" if fast and not seen.report.bad else "NOT met"
        told = seen.report.complaint or "every request was answered"
        print(f"  {name}: {told}; aim: none lost at more than {_WANTED_PER_SECOND}/s: {verdict}")


if __name__ == "__main__":
    main()
