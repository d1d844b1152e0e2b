"""What the gateway's own code costs per request and per event, without a kernel in the way.

    python -m tests.perf gateway_path [--quick]

Both connections of a request end in this process: its bytes are given to the client's protocol, an
answer's to the endpoint's, as the event loop does it. What is left is Python, and it is told as
the least of many rounds of this thread's processor time, which other programs hardly change: the
number to look at while the hot path is worked on. The first row is the front with a decision that
costs nothing, the second adds routing, API keys, limits and metrics. Nothing is asserted.
"""

import asyncio
import base64
import hashlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, cast

from modelrunner.domain.naming import MANAGED_BY, MANAGED_BY_LABEL, MODEL_LABEL
from modelrunner.gateway.auth.keyring import KeyRing
from modelrunner.gateway.auth.limits import Limits
from modelrunner.gateway.hold.holds import Holds
from modelrunner.gateway.hold.rests import Rests
from modelrunner.gateway.http.client import Client
from modelrunner.gateway.http.front import Front
from modelrunner.gateway.http.upstream import Upstream
from modelrunner.gateway.messages import (
    Answer,
    Decider,
    Decision,
    Endpoint,
    Failure,
    Forward,
    Outcome,
    Request,
    Ticket,
)
from modelrunner.gateway.routing.router import Router
from modelrunner.gateway.table.slices import SERVICE_LABEL
from modelrunner.gateway.table.table import RouteTable
from modelrunner.gateway.telemetry.access_log import AccessLog
from modelrunner.gateway.telemetry.meters import Meters
from modelrunner_protocol.wire import PORT_NAME
from tests.perf.figures import table
from tests.perf.load.requests import MODEL, completion, stream
from tests.perf.options import USUAL, Options

_KEY: Final = "sk-" + "ab" * 24
_BATCH: Final = 500
_ID: Final = "0" * 16


class _Transport:
    """Takes what is written and counts it."""

    def __init__(self) -> None:
        self.writes = 0

    def write(self, _data: bytes) -> None:
        self.writes += 1

    def writelines(self, _parts: Sequence[bytes]) -> None:
        self.writes += 1

    def is_closing(self) -> bool:
        return False

    def is_reading(self) -> bool:
        return True

    def get_extra_info(self, name: str) -> object:
        return ("127.0.0.1", 1) if name == "peername" else None

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        """Also at the end: the front closes what is spare."""

    def close(self) -> None:
        """As `abort`."""


class _NoTicket(Ticket):
    def failed(self, failure: Failure) -> Decision:
        raise AssertionError(failure)

    def first_byte(self, status: int) -> None:
        """Nobody counts."""

    def done(self, outcome: Outcome, tail: bytes) -> None:
        """Nobody counts."""

    def broken_event(self) -> bytes:
        return b""


class _AlwaysThere:
    """A decision that costs nothing."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint, self._ticket = endpoint, _NoTicket()

    def decide(self, request: Request) -> Decision:
        del request
        return Forward(self._endpoint, self._ticket)

    def refuse(self, path: str, status: int, code: str, message: str) -> Answer:
        raise AssertionError(path, status, code, message)


class _Path:
    """One client's connection, and one to an endpoint."""

    def __init__(self, decider: Decider, endpoint: Endpoint) -> None:
        self.front = Front(decider)
        self.seen, self.sent = _Transport(), _Transport()
        self.client = Client(self.front)
        self.client.connection_made(cast("Any", self.seen))
        self.upstream = Upstream(self.front.pool, endpoint)
        self.upstream.connection_made(cast("Any", self.sent))
        self.front.pool.give(self.upstream)

    def requests(self, requests: Sequence[bytes], answers: Sequence[bytes]) -> None:
        """Each request and its answer."""
        before = self.seen.writes
        for request, answer in zip(requests, answers, strict=True):
            self.client.data_received(request)
            self.upstream.data_received(answer)
        assert self.seen.writes == before + len(answers), "requests were not answered"

    def events(self, events: Sequence[bytes]) -> None:
        """Events of a stream that runs."""
        for event in events:
            self.upstream.data_received(event)


def main(options: Options = USUAL) -> None:
    """Measure and print."""
    rounds = options.rounds or options.pick(60, 15)
    asyncio.run(_measure(rounds))


async def _measure(rounds: int) -> None:
    endpoint = Endpoint("one", ("198.18.0.1", 8080))
    router, known = _router()
    paths = {
        "the front alone": _Path(_AlwaysThere(endpoint), endpoint),
        "with routing, keys, metrics": _Path(router, known),
    }
    head = ("µs", "1 KB", "1 KB, own ids", "64 KB", "event")
    rows: list[tuple[str, ...]] = [head]
    for name, path in paths.items():
        cells = [
            _least(rounds, len(asked), partial(path.requests, asked, answered))
            for asked, answered in (_exchange(1024), _exchange(1024, ids=True), _exchange(65536))
        ]
        events = _begin_stream(path)
        cells.append(_least(rounds, len(events), partial(path.events, events)))
        rows.append((name, *(f"{cell:.2f}" for cell in cells)))
        await path.front.drain(0)
    print(f"\nThe gateway's own code, least of {rounds} rounds of {_BATCH}")
    print(table(rows), flush=True)


def _least(rounds: int, count: int, work: Callable[[], None]) -> float:
    """Microseconds of processor time per item, in the best round."""
    best = float("inf")
    for _ in range(rounds):
        begin = time.thread_time()
        work()
        best = min(best, time.thread_time() - begin)
    return best / count * 1e6


def _exchange(size: int, *, ids: bool = False) -> tuple[list[bytes], list[bytes]]:
    """Requests and answers of `size` bytes; answers have each another id, as runnerd's have."""
    request = completion(_KEY, size, identity=_ID if ids else "")
    usage = b'"usage":{"prompt_tokens":16,"completion_tokens":8,"total_tokens":24}'
    body = b'{"choices":[{"message":{"content":"%b"}}],%b}' % (b"x" * (size - 120), usage)
    requests, answers = [], []
    for number in range(_BATCH):
        name = b"%016x" % number
        requests.append(request.replace(_ID.encode(), name, 1) if ids else request)
        answers.append(
            b"HTTP/1.1 200 OK\r\nServer: runnerd\r\nX-Request-Id: %b\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n%b" % (name, len(body), body)
        )
    return requests, answers


def _begin_stream(path: _Path) -> list[bytes]:
    """A stream under way, and chunks for it."""
    path.client.data_received(stream(_KEY, _BATCH))
    path.upstream.data_received(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    events = []
    for number in range(_BATCH):
        event = b'data: {"choices":[{"delta":{"content":"%016d"}}],"x":"%b"}\n\n'
        event %= (number, b"x" * 130)
        events.append(b"%x\r\n%b\r\n" % (len(event), event))
    return events


def _router() -> tuple[Router, Endpoint]:
    """The real one, which knows one model with one endpoint, and one key."""
    routes, ring, rests = RouteTable(), KeyRing(), Rests()
    condition = {"type": "Ready", "status": "True", "reason": "Serving"}
    place = {"namespace": "bench", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    routes.put_model(
        {"metadata": {"name": MODEL, **place}, "spec": {}, "status": {"conditions": [condition]}}
    )
    labels = {MANAGED_BY_LABEL: MANAGED_BY, MODEL_LABEL: MODEL, SERVICE_LABEL: MODEL}
    routes.put_slice(
        {
            "metadata": {"name": MODEL, "namespace": "bench", "labels": labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["198.18.0.1"], "conditions": {"ready": True}}],
            "ports": [{"name": PORT_NAME, "port": 8080, "protocol": "TCP"}],
        }
    )
    digest = hashlib.sha256(_KEY.encode()).hexdigest().encode()
    ring.put({"metadata": {"name": "k"}, "data": {"sha256": base64.b64encode(digest).decode()}})
    meters = Meters(AccessLog(0.0, lambda _line: None))
    # Neither runners nor the API server are asked for a model that is awake.
    nobody = cast("Any", None)
    holds = Holds(
        routes, runners=nobody, scaler=nobody, meters=meters, rests=rests, max_bytes=1 << 20
    )
    router = Router(
        routes,
        holds=holds,
        rests=rests,
        limits=Limits(),
        meters=meters,
        back_office=Endpoint("back-office", ("198.18.0.2", 1)),
        keys=ring,
    )
    entry = routes.find(MODEL)
    assert entry is not None
    return router, entry.ready[0]


if __name__ == "__main__":
    main()
