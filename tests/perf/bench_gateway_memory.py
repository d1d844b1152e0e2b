"""The gateway's memory: at rest, with 1,000 streams, with 10,000 requests that wait for a model.

    python -m tests.perf gateway_memory [--quick] [--sides gateway,nginx]

Memory is the proportional set size of all processes of a side. The peers hold no requests: that
line is the gateway's alone. Its model has no endpoint then; afterwards it gets one, and every
request must still be answered. Nothing is asserted.
"""

import re
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from tests.cluster.errors import ClusterError
from tests.cluster.progress import Progress
from tests.cluster.waiting import wait_until
from tests.perf.arena import GATEWAY, Arena, arena, chosen
from tests.perf.figures import table
from tests.perf.load.requests import completion, stream
from tests.perf.options import USUAL, Options
from tests.perf.peers.gateway import World
from tests.perf.peers.side import Proxy

_SIDES: Final = (GATEWAY, "nginx", "envoy", "vllm-router")
_STREAMS: Final = 1000
_EVENTS: Final = 100_000
_HELD: Final = 10_000
_KILOBYTE: Final = 1024
_RAMP_SECONDS: Final = 2.0
_HELD_RAMP_SECONDS: Final = 5.0
_LONGEST: Final = 300.0
_STATES: Final = (
    "at rest",
    f"{_STREAMS:,} streams",
    "after them",
    f"{_HELD:,} held",
    "after them ",
)


@dataclass
class Memory:
    """MiB by state, and what was seen on the way."""

    mib: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def main(options: Options = USUAL) -> None:
    """Measure and print."""
    sides = chosen(options, _SIDES)
    found: dict[str, Memory] = {}
    with arena(Progress()) as place:
        for side in sides:
            if side.name == GATEWAY:
                found[side.name] = _gateway(place, options)
                continue
            with side.run(place.scene) as proxy:
                found[side.name] = _streams(place, proxy, options)
    _show(found)


def _streams(place: Arena, proxy: Proxy, options: Options) -> Memory:
    memory = Memory({_STATES[0]: proxy.memory_mib()})
    request = place.request("stream", stream(place.scene.key, _EVENTS))
    with (
        place.scene.progress.during(f"{_STREAMS} streams through {proxy.name}"),
        place.load(
            proxy.address,
            request,
            connections=_STREAMS,
            seconds=_LONGEST,
            ramp=_RAMP_SECONDS,
            cut=True,
        ) as load,
    ):
        # The passing of time is what is measured: buffers grow while events flow.
        threading.Event().wait(_RAMP_SECONDS + options.pick(5.0, 2.0))
        memory.mib[_STATES[1]] = proxy.memory_mib()
        report = load.stop()
    if report.complaint or report.unfinished != _STREAMS:
        memory.notes.append(f"{report.unfinished} streams at the end {report.complaint}")
    threading.Event().wait(1.0)
    memory.mib[_STATES[2]] = proxy.memory_mib()
    return memory


def _gateway(place: Arena, options: Options) -> Memory:
    scene = place.scene
    with World.with_key(scene.key, scene.progress) as world:
        world.hold_up_to(2 * _HELD, int(_LONGEST))
        world.serve(scene.backend)
        with world.gateway(scene) as proxy:
            memory = _streams(place, proxy, options)
            request = place.request("held", completion(scene.key, _KILOBYTE))
            _hold(place, world, proxy, request, memory)
    return memory


def _hold(place: Arena, world: World, proxy: Proxy, request: Path, memory: Memory) -> None:
    """Take the endpoint away, let requests come, look, give it back."""
    url, key = "http://{}:{}".format(*proxy.address), place.scene.key
    headers = {"Authorization": f"Bearer {key}"}
    progress = place.scene.progress
    with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as client:
        world.serve_nothing()
        wait_until("no endpoint", lambda: _gauge(client, "endpoints") == 0, interval=0.1)
        with place.load(
            proxy.address,
            request,
            connections=_HELD,
            seconds=_LONGEST,
            ramp=_HELD_RAMP_SECONDS,
            once=True,
        ) as load:
            with progress.during(f"{_HELD} requests come", lambda: str(_held(client))):
                wait_until("held requests", lambda: _held(client) == _HELD, interval=0.5)
            memory.mib[_STATES[3]] = proxy.memory_mib()
            begin = time.monotonic()
            world.serve(place.scene.backend)
            with progress.during("they are let go", lambda: str(_held(client))):
                wait_until("none waits", lambda: _held(client) == 0, seconds=120, interval=0.2)
            told = f"{_HELD:,} held requests were let go in {time.monotonic() - begin:.1f} s"
            report = load.stop()
    memory.notes.append(f"{told}; {report.answers:,} answered {report.complaint}".rstrip())
    threading.Event().wait(1.0)
    memory.mib[_STATES[4]] = proxy.memory_mib()


def _held(client: httpx.Client) -> int:
    return _gauge(client, "held")


def _gauge(client: httpx.Client, name: str) -> int:
    """One of the gateway's gauges, all its series together."""
    answer = client.get("/metrics")
    if not answer.is_success:
        raise ClusterError(f"the gateway's /metrics: {answer.status_code} {answer.text[:200]}")
    return total(answer.text, f"modelrunner_gateway_{name}")


def total(text: str, name: str) -> int:
    """The sum of a family's samples in a page of metrics."""
    return int(sum(map(float, re.findall(rf"^{name}\{{.*\}} (\S+)$", text, re.MULTILINE))))


def _show(found: dict[str, Memory]) -> None:
    print("\nMemory, MiB (proportional set size of all processes of a side)")
    rows = [("", *found)]
    for state in _STATES:
        cells = (
            f"{memory.mib[state]:.1f}" if state in memory.mib else "-" for memory in found.values()
        )
        rows.append((state, *cells))
    print(table(rows))
    if GATEWAY in found and _STATES[3] in found[GATEWAY].mib:
        mib = found[GATEWAY].mib
        each = (mib[_STATES[3]] - mib[_STATES[2]]) * 1024 / _HELD
        more = (mib[_STATES[1]] - mib[_STATES[0]]) * 1024 / _STREAMS
        print(
            f"  the gateway: {more:.1f} KiB for each stream, {each:.1f} KiB for each held request"
        )
    for name, memory in found.items():
        for note in memory.notes:
            print(f"  {name}: {note}", flush=True)


if __name__ == "__main__":
    main()
