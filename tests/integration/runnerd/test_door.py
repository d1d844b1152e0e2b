"""A runner's door against clients of other threads, over real sockets."""

import asyncio
import contextlib
import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.scripted_runner import CONFIG, SETTINGS, eventually, running

ROUNDS = 1000
_CHAT = "/v1/chat/completions"
_BODY = json.dumps({"messages": [], "model": "smol"})
# Nothing is cut off or killed because the machine is slow; a test itself ends the lingering.
_UNHURRIED = replace(SETTINGS, drain_linger=600.0, stop_grace=120.0)
_UNLIMITED = replace(CONFIG, drain_timeout=600.0)


class _Client:
    """One kept connection. `ask` gives a status and the answer's JSON."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._link = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._link.connect()
        self.made = 1

    def ask(self, method: str, path: str, body: str = "") -> tuple[int, Any]:
        """One request; a connection that the server announced to close is made anew."""
        if self._link.sock is None:
            self.made += 1
            self._link.connect()
        self._link.request(method, path, body)
        answer = self._link.getresponse()
        found = json.loads(answer.read())
        if answer.status == 503:
            assert answer.headers["X-Runner-Draining"] == "true"
            assert answer.headers["Retry-After"] == "1"
        return answer.status, found

    def chat(self) -> int:
        """The status of one chat: 200, or 503 with the header."""
        return self.ask("POST", _CHAT, _BODY)[0]

    def close(self) -> None:
        """Hang up."""
        self._link.close()


def _together(*work: Callable[[], object]) -> list[Any]:
    """Results of functions that start in the same moment, each in a thread of its own."""
    barrier, results = threading.Barrier(len(work)), [None] * len(work)

    def run(number: int) -> None:
        barrier.wait(120)
        results[number] = work[number]()  # type: ignore[call-overload]  # whatever it gives

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    return results


def _after(delay: float, work: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        end = time.perf_counter() + delay
        while time.perf_counter() < end:
            continue
        return work()

    return run


def _race(port: int) -> Counter[tuple[int, tuple[int, ...]]]:
    """Close and ask at the same time, again and again: how often each outcome came."""
    operator, clients = _Client(port), [_Client(port), _Client(port)]
    chance, found = random.Random(4), Counter[tuple[int, tuple[int, ...]]]()
    for _ in range(ROUNDS):
        asked = json.dumps({"lastUsedAt": operator.ask("GET", "/status")[1].get("lastUsedAt")})
        # Either may have the lead: which of them would else win is the machine's to say.
        lead = chance.uniform(-0.002, 0.002)
        closing = _after(-lead, partial(operator.ask, "POST", "/close", asked))
        (closed, _), *chats = _together(closing, *(_after(lead, one.chat) for one in clients))
        found[closed, tuple(sorted(chats))] += 1
        assert operator.ask("POST", "/open")[0] == 200
    for client in (operator, *clients):
        client.close()
    return found


async def test_closing_races_requests(tmp_path: Path) -> None:
    """A thousand times: either the door closes and everybody is refused, or it does not.

    Never closed with somebody inside, and never does anybody get anything but 200 or the 503 that
    sends them elsewhere.
    """
    async with running(tmp_path) as runner:
        found = await asyncio.to_thread(_race, runner.port)
    assert sum(found.values()) == ROUNDS
    for (closed, chats), count in found.items():
        # One who came in before the other keeps the door open for both.
        expected = {200: {(503, 503)}, 409: {(200, 200)}}[closed]
        assert chats in expected, (closed, chats, count)
    assert len(found) == 2, found


def _hammer(port: int, refusals: int, started: threading.Barrier) -> Counter[int]:
    """Ask without a pause over kept connections until so many were refused."""
    client, found = _Client(port), Counter[int]()
    client.chat()
    started.wait(120)
    while found[503] < refusals:
        found[client.chat()] += 1
    client.close()
    # Every refusal ended its connection, and the next one was accepted.
    assert client.made >= refusals
    return found


async def test_sigterm_under_load(tmp_path: Path) -> None:
    """Who asks while a runner stops gets an answer or is sent elsewhere: nothing is ever reset.

    Busy connections, those that were idle when it began, and new ones; also when the engine is
    gone already.
    """
    threads, refusals = 4, 25
    async with running(tmp_path, config=_UNLIMITED, settings=_UNHURRIED) as runner:
        started = threading.Barrier(threads + 1)
        idle = [_Client(runner.port) for _ in range(4)]
        used = [_Client(runner.port) for _ in range(4)]
        for client in used:
            assert await asyncio.to_thread(client.chat) == 200
        hammers = [
            asyncio.create_task(asyncio.to_thread(_hammer, runner.port, refusals, started))
            for _ in range(threads)
        ]
        await asyncio.to_thread(started.wait, 120)
        runner.stop.set()
        for found in await asyncio.gather(*hammers):
            assert found[503] == refusals
            assert found.keys() <= {200, 503}
        for client in idle + used:
            assert await asyncio.to_thread(client.chat) == 503
            client.close()
        await eventually(lambda: runner.launch.children[-1].poll() == 0)
        assert (await runner.chat())[0] == 503
        assert (await runner.status())["state"] == "draining"


def _until_refused(port: int, connected: threading.Barrier, found: Counter[int]) -> None:
    """Ask without a pause until nobody listens; whatever else goes wrong is raised."""
    client = _Client(port)
    connected.wait(120)
    with contextlib.suppress(ConnectionRefusedError):
        while True:
            found[client.chat()] += 1


async def test_end_under_load(tmp_path: Path) -> None:
    """Up to the last moment whoever gets a connection gets an answer on it."""
    answers = [Counter[int]() for _ in range(4)]
    connected = threading.Barrier(len(answers) + 1)
    async with running(tmp_path, config=_UNLIMITED, settings=_UNHURRIED) as runner:
        hammers = [
            asyncio.create_task(asyncio.to_thread(_until_refused, runner.port, connected, found))
            for found in answers
        ]
        await asyncio.to_thread(connected.wait, 120)
        runner.stop.set()
        # Each was sent elsewhere, and only the lingering is left: what is set then ends it.
        await eventually(lambda: all(found[503] >= 20 for found in answers))
        await eventually(lambda: runner.launch.children[-1].poll() == 0)
        runner.stop.set()
        await asyncio.gather(*hammers)
    assert all(found.keys() <= {200, 503} for found in answers)
