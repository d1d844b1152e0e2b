"""What it costs to speak Ollama's language, or that of Responses, before the same engine.

    python -m tests.perf translation [--quick] [--rounds 15] [--seconds 1]

The same prompt for the same number of tokens, as /v1/chat/completions, which runnerd passes on as
it is, as /api/chat and as /v1/responses, which it translates; in turn, in one run. What is
measured is runnerd's own processor time; the engine is another process. Once it is a program in C
that gives a token every two milliseconds, once the real llama-server. Nothing is asserted.
"""

import json
import tempfile
import time
import timeit
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from runnerd.ollama import asked as ollama
from runnerd.ollama import stream as ollama_stream
from runnerd.ollama.asked import Kind
from runnerd.ollama.counters import Course
from runnerd.ollama.spoken import Spoken, Stamps
from runnerd.responses import asked as responses
from runnerd.responses import stream as responses_stream
from runnerd.responses.events import Events
from runnerd.responses.frame import Frame
from runnerd.server import retelling
from tests.cluster.errors import ClusterError
from tests.cluster.progress import Progress
from tests.perf.figures import Spread, ratios, table
from tests.perf.load.generator import Report, load
from tests.perf.load.programs import Programs
from tests.perf.load.requests import post
from tests.perf.options import USUAL, Options
from tests.perf.runner_by_hand import MODEL, runner_by_hand
from tests.perf.usage import busy_seconds
from tests.support.engine import ensure_engine

_PACE: Final = 2000
_STREAMS: Final = 4
_TOKENS: Final = 256
_REAL_TOKENS: Final = 48
_EVENT: Final = (
    b'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":" word"}}],'
    b'"created":1795261646,"id":"chatcmpl-857e7f3abd475cb5857e7f3abd475cb5","model":"smol",'
    b'"system_fingerprint":"b10434-abcdef","object":"chat.completion.chunk"}\n\n'
)
"""As llama-server writes it."""

_PROMPT: Final = "Count from one to one hundred, in words. " * 5


@dataclass(frozen=True)
class Dialect:
    """How a chat is asked for. `mark`: a piece of text has it, and nothing else."""

    name: str
    path: str
    mark: bytes

    def body(self, tokens: int) -> dict[str, object]:
        """A request for a stream of so many tokens."""
        messages = [{"role": "user", "content": _PROMPT}]
        body: dict[str, object] = {"model": MODEL, "stream": True}
        match self.name:
            case "Ollama":
                options = {"num_predict": tokens, "temperature": 0}
                return {**body, "options": options, "messages": messages}
            case "Responses":
                return {**body, "max_output_tokens": tokens, "temperature": 0, "input": messages}
            case _:
                return {**body, "max_tokens": tokens, "temperature": 0, "messages": messages}


CHAT: Final = Dialect("chat completions", "/v1/chat/completions", b'"content":"')
DIALECTS: Final = (
    CHAT,
    Dialect("Ollama", "/api/chat", b'"},"done":false}'),
    Dialect("Responses", "/v1/responses", b"event: response.output_text.delta"),
)


@dataclass(frozen=True)
class Measured:
    """One dialect in one round.

    Attributes:
        report: What the load generator saw.
        cpu: Seconds of runnerd's processor time.
        chunks: Pieces of text in one answer.
    """

    report: Report
    cpu: float
    chunks: int

    @property
    def per_chunk(self) -> float:
        """Microseconds; each request's beginning and end are in it."""
        return self.per_answer / self.chunks

    @property
    def per_answer(self) -> float:
        """Microseconds."""
        return self.cpu * 1e6 / max(1, self.report.answers)

    @property
    def first(self) -> float:
        """Milliseconds until something comes, p50."""
        return self.report.first_byte.p50 / 1e3


@dataclass(frozen=True)
class Column:
    """A number of a dialect, beside that of plain chats."""

    title: str
    value: Callable[[Measured], float]
    digits: int

    def cells(self, own: Sequence[Measured], chat: Sequence[Measured]) -> tuple[str, str, str]:
        """The number, its ratio and its difference to that of chats, round by round."""
        values, floor = ([self.value(one) for one in side] for side in (own, chat))
        more = [mine - other for mine, other in zip(values, floor, strict=True)]
        texts = (Spread.of(values).text(self.digits), ratios(values, floor).text(2))
        return (*texts, Spread.of(more).text(self.digits))


_PER_CHUNK: Final = Column("CPU µs/chunk", lambda one: one.per_chunk, 1)
_PER_ANSWER: Final = Column("CPU µs/request", lambda one: one.per_answer, 0)
_FIRST: Final = Column("first chunk p50 ms", lambda one: one.first, 2)

Found = dict[Dialect, list[Measured]]


@dataclass(frozen=True)
class Bench:
    """A runner whose engine may be anything, and the load on it."""

    pid: int
    port: int
    folder: Path
    generator: Path

    def take_turns(self, tokens: int, *, streams: int, rounds: int, seconds: float) -> Found:
        """Measure one dialect after the other, and again."""
        chunks = {dialect: self._chunks(dialect, tokens) for dialect in DIALECTS}
        found: Found = {dialect: [] for dialect in DIALECTS}
        for _ in range(rounds):
            for dialect in DIALECTS:
                report, cpu = self._load(dialect, tokens, streams, seconds)
                found[dialect].append(Measured(report, cpu, chunks[dialect]))
        return found

    def _load(
        self, dialect: Dialect, tokens: int, streams: int, seconds: float
    ) -> tuple[Report, float]:
        request = self.folder / "request"
        request.write_bytes(post(dialect.path, json.dumps(dialect.body(tokens)).encode()))
        begin = busy_seconds(self.pid)
        where = ("127.0.0.1", self.port)
        with load(
            (self.generator,), where, request, connections=streams, seconds=seconds
        ) as running:
            report = running.report()
        if report.complaint:
            raise ClusterError(f"{dialect.name}: {report.complaint}")
        return report, busy_seconds(self.pid) - begin

    def _chunks(self, dialect: Dialect, tokens: int) -> int:
        """How many pieces of text an answer has; all that follow have the same text."""
        url = f"http://127.0.0.1:{self.port}{dialect.path}"
        answer = httpx.post(url, json=dialect.body(tokens), timeout=60, trust_env=False)
        if not (count := answer.content.count(dialect.mark)):
            raise ClusterError(f"{dialect.name}: no text in {answer.text[:200]!r}")
        return count


def main(options: Options = USUAL) -> None:
    """Measure and print."""
    programs = Programs.ensure()
    rounds = options.rounds or options.pick(15, 3)
    seconds = options.seconds or 1.0
    progress = Progress()
    with tempfile.TemporaryDirectory() as folder:
        engine = _fast_engine(Path(folder), programs.backend)
        with runner_by_hand(engine, Path("/dev/null"), Path(folder)) as (pid, port, _):
            bench = Bench(pid, port, Path(folder), programs.generator)
            with progress.during("measuring long streams"):
                long = bench.take_turns(_TOKENS, streams=_STREAMS, rounds=rounds, seconds=seconds)
            with progress.during("measuring streams of one token"):
                short = bench.take_turns(1, streams=1, rounds=rounds, seconds=seconds)
    title = f"{_STREAMS} streams of {_TOKENS} tokens at once, each gets one every"
    _show(f"{title} {_PACE / 1e3:g} ms", long, _PER_CHUNK)
    _show(
        f"one stream of 1 token after the other, it comes after {_PACE / 1e3:g} ms",
        short,
        _PER_ANSWER,
        _FIRST,
    )
    real = ensure_engine()
    with (
        tempfile.TemporaryDirectory() as folder,
        runner_by_hand(real.llama_server, real.model, Path(folder)) as (pid, port, _),
    ):
        bench = Bench(pid, port, Path(folder), programs.generator)
        with progress.during("measuring before llama-server"):
            found = bench.take_turns(_REAL_TOKENS, streams=1, rounds=rounds, seconds=2 * seconds)
    _show(
        f"llama-server, SmolLM2-135M, streams of {_REAL_TOKENS} tokens", found, _PER_CHUNK, _FIRST
    )
    print("\nthe translation of one event of text without sockets, at best")
    for name, stream in (("Ollama", _ollama()), ("Responses", _responses())):
        print(f"  {name:9}  {_at_best(stream):.1f} µs", flush=True)


def _ollama() -> retelling.Stream:
    asked = ollama.asked(Kind.CHAT, DIALECTS[1].body(_TOKENS), context=None)
    spoken = Spoken(asked, Stamps(time.time_ns))
    return ollama_stream.Stream(asked.path, spoken, Course(arrived=1), time.time_ns)


def _responses() -> retelling.Stream:
    def new_id(word: str) -> str:
        return f"{word}_{'0' * 32}"

    told = responses.asked(DIALECTS[2].body(_TOKENS), new_id).told
    events = Events(Frame(new_id("resp"), MODEL, 1, told), new_id)
    return responses_stream.Stream(events, top_logprobs=0, now=lambda: 1)


def _at_best(stream: retelling.Stream) -> float:
    """Microseconds for each of many events; the least of several tries."""
    stream.take(_EVENT)
    tries = timeit.repeat(lambda: stream.take(_EVENT), timer=time.thread_time, number=5000)
    return min(tries) / 5000 * 1e6


def _fast_engine(folder: Path, backend: Path) -> Path:
    """The model server of the gateway's benchmarks, told by what llama-server would be told."""
    program = folder / "fast-engine"
    find = 'while [ "$1" != --host ]; do shift; done'
    program.write_text(f'#!/bin/sh\n{find}\nexec {backend} "$2" 0 {_PACE}\n', encoding="ascii")
    program.chmod(0o755)
    return program


def _show(title: str, found: Found, *columns: Column) -> None:
    rounds = len(found[CHAT])
    print(f"\n{title}; {rounds} rounds, median [least-most]")
    head = [cell for column in columns for cell in (column.title, "by chat's", "more")]
    rows = [("", "chunks", *head)]
    for dialect, own in found.items():
        cells = [cell for column in columns for cell in column.cells(own, found[CHAT])]
        rows.append(
            (dialect.name, str(sum(one.chunks * one.report.answers for one in own)), *cells)
        )
    print(table(rows), flush=True)


if __name__ == "__main__":
    main()
