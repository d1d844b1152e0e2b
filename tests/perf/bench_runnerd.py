"""What runnerd costs over its engine: added latency and CPU per request and per SSE chunk.

    python -m tests.perf.bench_runnerd [--requests 2000] [--streams 60] [--no-real]

Both sides are asked in turn, request by request, in one run, so that the machine's mood hits
both alike. The engine is once a tiny program that answers at once (what is left is runnerd),
once the real llama-server. Nothing is asserted; the table is the result.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.perf.caller import Caller, tcp, unix
from tests.perf.figures import quantile
from tests.perf.options import USUAL, Options
from tests.perf.runner_by_hand import runner_by_hand
from tests.perf.usage import busy_seconds
from tests.support.engine import ensure_engine

ROOT: Final = Path(__file__).resolve().parents[2]
CHUNKS: Final = 50
_CHUNK_SECONDS: Final = 0.002


class FastEngine(asyncio.Protocol):
    """Answers everything at once; a stream is one event per 2 ms that holds its own time."""

    def __init__(self) -> None:
        self._seen = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer once the whole body is there."""
        self._seen += data
        head, found, body = self._seen.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if not found or len(body) < length or self._transport is None:
            return
        self._seen = b""
        if b'"stream": true' in body:
            kind = b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            self._transport.write(b"HTTP/1.1 200 OK\r\n" + kind)
            self._event(CHUNKS)
            return
        answer = json.dumps({"total_slots": 4, "text": "x" * 500}).encode()
        text = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}"
        self._transport.write(text.encode() + b"\r\n\r\n" + answer)

    def _event(self, left: int) -> None:
        assert self._transport is not None
        if not left:
            self._transport.write(b"0\r\n\r\n")
            return
        event = f"data: {time.monotonic():.9f} {'x' * 200}\n\n".encode()
        self._transport.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
        asyncio.get_running_loop().call_later(_CHUNK_SECONDS, self._event, left - 1)


async def serve_fast_engine(path: str) -> None:
    """Listen on a UNIX socket, like llama-server."""
    server = await asyncio.get_running_loop().create_unix_server(FastEngine, path)
    await server.serve_forever()


def measure(program: Path, model: Path, *, requests: int, streams: int, stamped: bool) -> None:
    """Ask both sides in turn and print the table."""
    body: dict[str, object] = {
        "model": "smol",
        "messages": [{"role": "user", "content": "Tell me a story. " * 20}],
        "max_tokens": 1,
        "temperature": 0,
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        runner_by_hand(program, model, Path(folder)) as (pid, port, path),
    ):
        direct, through = Caller.of(lambda: unix(path)), Caller.of(lambda: tcp(port))
        for _ in range(20):
            direct.ask(body)
            through.ask(body)
        direct.unary.clear()
        through.unary.clear()
        begin = busy_seconds(pid)
        for _ in range(requests):
            direct.ask(body)
            through.ask(body)
        unary_cpu = (busy_seconds(pid) - begin) / requests
        begin, events = busy_seconds(pid), 0
        for _ in range(streams):
            direct.stream({**body, "max_tokens": CHUNKS}, stamped=stamped)
            events += through.stream({**body, "max_tokens": CHUNKS}, stamped=stamped)
        stream_cpu = busy_seconds(pid) - begin - streams * unary_cpu
        _print_row("request", direct.unary, through.unary)
        _print_row("first event of a stream", direct.first, through.first)
        if stamped:
            _print_row("one event, sent to received", direct.chunks, through.chunks)
        print(f"  CPU of runnerd: {unary_cpu * 1e6:.0f} µs per request, ", end="")
        print(f"{stream_cpu / events * 1e6:.0f} µs per event ({events} events)")


def _print_row(what: str, direct: list[float], through: list[float]) -> None:
    for name, point in (("p50", 0.5), ("p99", 0.99)):
        left, right = quantile(direct, point) * 1e3, quantile(through, point) * 1e3
        row = f"  {what:28} {name}  {left:8.3f} ms {right:8.3f} ms  {right - left:+8.3f} ms"
        print(f"{row}  x{right / left:.2f}", flush=True)


def main(options: Options = USUAL) -> None:
    """Parse the command line and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=options.pick(2000, 200))
    parser.add_argument("--streams", type=int, default=options.pick(60, 10))
    parser.add_argument("--no-real", action="store_true", help="only the fast engine")
    settings, rest = parser.parse_known_args()
    if "--host" in rest:
        asyncio.run(serve_fast_engine(rest[rest.index("--host") + 1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "fast-engine"
        script = f'#!/bin/sh\ncd {ROOT}\nexec {sys.executable} -m {__spec__.name} "$@"\n'
        program.write_text(script, encoding="utf-8")
        program.chmod(0o755)
        print(f"{'':33}  {'directly':>11} {'runnerd':>11}")
        print("an engine that answers at once:")
        measure(
            program,
            Path("/dev/null"),
            requests=settings.requests,
            streams=settings.streams,
            stamped=True,
        )
    if not settings.no_real:
        engine = ensure_engine()
        print("llama-server, SmolLM2-135M, 1 token per request:")
        measure(
            engine.llama_server,
            engine.model,
            requests=max(2, settings.requests // 10),
            streams=max(2, settings.streams // 3),
            stamped=False,
        )


if __name__ == "__main__":
    main()
