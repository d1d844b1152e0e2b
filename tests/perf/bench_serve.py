"""The stand-alone server: how long it takes to start, what it needs at rest, what a switch costs.

    python -m tests.perf serve [--quick] [--rounds 9]

Start: from the process to the first 200 of /v1/models, beside a Python that only imports aiohttp.
Rest: memory with a model in the store and no engine, beside the same Python.
Switch: one slot, two models, the real llama-server; from a request for the model that is not there
to its first token, beside the same llama-server, started by hand with the same words, and the same
request. The sides take turns. Nothing is asserted.
"""

import http.client
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.cluster.errors import ClusterError
from tests.cluster.progress import Progress
from tests.cluster.waiting import wait_until
from tests.perf.engine_by_hand import engine_by_hand
from tests.perf.figures import Spread, ratios, table
from tests.perf.first_token import read_first_token
from tests.perf.options import USUAL, Options
from tests.perf.peers.side import free_port
from tests.perf.usage import busy_seconds, resident_mib
from tests.support.engine import Engine, ensure_engine
from tests.support.serving import Serving, stock

_MODELS: Final = ("ai/one:latest", "ai/two:latest")
_ARGUMENTS: Final = "-ngl 999 --metrics --threads 1 -c 2048"
_FLOOR: Final = "import aiohttp, sys; print(flush=True); sys.stdin.read()"
_NAME: Final = b"Smollm2 135M"
_POLL: Final = 0.002


@dataclass(frozen=True)
class Process:
    """One that has just started and does nothing more: seconds of the clock and of a processor, MiB."""

    wall: float
    cpu: float
    resident: float
    proportional: float


@dataclass(frozen=True)
class Switch:
    """Seconds until the first token.

    Attributes:
        cold: Of a model that was not loaded while another one was.
        warm: Of the same model again.
        by_hand: Of its engine, started by hand.
    """

    cold: float
    warm: float
    by_hand: float


def main(options: Options = USUAL) -> None:
    """Measure and print."""
    rounds = options.rounds or options.pick(9, 3)
    progress, engine = Progress(), ensure_engine()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with progress.during("stocking two models"):
            for name, weights in zip(_MODELS, (engine.model, _twin(engine, folder)), strict=True):
                stock(folder / "models", weights, name)
        with progress.during("starting it again and again"):
            ours, floor = [], []
            for _ in range(rounds):
                ours.append(_serve(folder, engine))
                floor.append(_python())
        _show_start(ours, floor)
        with progress.during("switching"):
            switches = _switches(folder, engine, rounds)
        _show_switches(switches)


def _twin(engine: Engine, folder: Path) -> Path:
    """The same model with another name in its header, so that it is another one to the store."""
    file = folder / "twin.gguf"
    shutil.copyfile(engine.model, file)
    with file.open("r+b") as content:
        place = content.read(1 << 20).index(_NAME)
        content.seek(place)
        content.write(_NAME.lower())
    return file


def _serve(folder: Path, engine: Engine) -> Process:
    port = free_port()
    begin = time.monotonic()
    server = Serving(folder, engine.llama_server, MODEL_RUNNER_PORT=str(port))
    try:
        wait_until("runnerd serve answers", lambda: _answers(server, port), interval=_POLL)
        return _looked_at(server.process.pid, begin)
    finally:
        server.stop()


def _answers(server: Serving, port: int) -> bool:
    """Whether it lists its models.

    Raises:
        ClusterError: it has ended.
    """
    if server.process.poll() is not None:
        raise ClusterError(f"runnerd serve ended: {server.text()[-2000:]}")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/v1/models")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _python() -> Process:
    begin = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-c", _FLOOR], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = _looked_at(process.pid, begin)
        process.communicate()
    return found


def _looked_at(pid: int, begin: float) -> Process:
    wall, cpu = time.monotonic() - begin, busy_seconds(pid)
    return Process(wall, cpu, *resident_mib(pid))


def _switches(folder: Path, engine: Engine, rounds: int) -> list[Switch]:
    found = []
    with Serving(folder, engine.llama_server, LLAMA_ARGS=_ARGUMENTS, RUNNERD_SLOTS="1") as server:
        _first_token(server, _MODELS[1])
        for number in range(rounds):
            model = _MODELS[number % 2]
            cold = _first_token(server, model)
            warm = _first_token(server, model)
            found.append(Switch(cold, warm, _by_hand(_words(server), model)))
    return found


def _asked(model: str) -> dict[str, object]:
    messages = [{"role": "user", "content": "Tell me a story. " * 5}]
    body = {"model": model, "messages": messages, "max_tokens": 4}
    return {**body, "temperature": 0, "stream": True}


def _first_token(server: Serving, model: str) -> float:
    with server.http as client:
        begin = time.monotonic()
        with client.stream("POST", "/v1/chat/completions", json=_asked(model)) as answer:
            answer.raise_for_status()
            lines = answer.iter_lines()
            read_first_token(lines)
            seconds = time.monotonic() - begin
            # It must be at rest before it is asked for the other model.
            deque(lines, maxlen=0)
    return seconds


def _by_hand(words: list[str], model: str) -> float:
    with engine_by_hand(words) as (client, begin):
        with client.stream("POST", "/v1/chat/completions", json=_asked(model)) as answer:
            read_first_token(answer.iter_lines())
        return time.monotonic() - begin


def _words(server: Serving) -> list[str]:
    """What its engine was started with, but for the socket."""
    (pid,) = server.engines()
    words = Path(f"/proc/{pid}/cmdline").read_text("utf-8").rstrip("\0").split("\0")
    place = words.index("--host")
    return words[:place] + words[place + 2 :]


def _show_start(ours: list[Process], floor: list[Process]) -> None:
    print(f"\nStart and rest, {len(ours)} starts, median [least-most]")
    rows = [("", "runnerd serve", "import aiohttp", "ratio")]
    for what, digits, mine, other in (
        ("seconds until it answers", 2, [one.wall for one in ours], [one.wall for one in floor]),
        ("of these on a processor", 2, [one.cpu for one in ours], [one.cpu for one in floor]),
        ("RSS MiB", 1, [one.resident for one in ours], [one.resident for one in floor]),
        ("PSS MiB", 1, [one.proportional for one in ours], [one.proportional for one in floor]),
    ):
        cells = (Spread.of(mine).text(digits), Spread.of(other).text(digits))
        rows.append((what, *cells, ratios(mine, other).text(2)))
    print(table(rows), flush=True)


def _show_switches(switches: list[Switch]) -> None:
    print(f"\nOne slot, two models, {len(switches)} switches: seconds until the first token")
    cold, warm, hand = (
        [one.cold for one in switches],
        [one.warm for one in switches],
        [one.by_hand for one in switches],
    )
    added = [mine - other for mine, other in zip(cold, hand, strict=True)]
    rows = [
        ("", "median [least-most]"),
        ("the other model is loaded", Spread.of(cold).text(2)),
        ("llama-server by hand, same words", Spread.of(hand).text(2)),
        ("what we add", Spread.of(added).text(2)),
        ("ratio", ratios(cold, hand).text(2)),
        ("the same model again", Spread.of(warm).text(3)),
    ]
    print(table(rows), flush=True)


if __name__ == "__main__":
    main()
