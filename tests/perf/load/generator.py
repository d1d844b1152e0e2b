"""One run of the load generator, and what it saw."""

import json
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.cluster.errors import ClusterError

_GRACE = 90


@dataclass(frozen=True, slots=True)
class Durations:
    """Microseconds."""

    count: int
    p50: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Report:
    """What one run of the generator saw.

    Attributes:
        seconds: how long new requests were sent.
        answers: whole answers, those that came later than that included.
        in_time: those that did not.
        errors: connections that broke off within a request, answers that were not HTTP.
        not_ok: answers with another status than 200; `not_ok_status` is one of them.
        unfinished: requests without a whole answer at the end.
        reconnects: connections that had to be opened anew.
        events: events of streams, each of which tells when it was sent.
        latency: from the first byte sent to the last received.
        first_byte: from the first byte sent to the end of the answer's head.
        delay: from an event's sending to its arrival.
    """

    seconds: float
    answers: int
    in_time: int
    errors: int
    not_ok: int
    not_ok_status: int
    unfinished: int
    reconnects: int
    events: int
    latency: Durations
    first_byte: Durations
    delay: Durations

    @classmethod
    def parse(cls, line: str) -> Self:
        """From the generator's line of JSON.

        Raises:
            ClusterError: that is not one.
        """
        try:
            found: dict[str, Any] = json.loads(line)
            for name in ("latency", "first_byte", "delay"):
                found[name] = Durations(**found[name])
            del found["end"], found["bytes"]
            return cls(**found)
        except (ValueError, TypeError, KeyError) as error:
            raise ClusterError(f"the load generator said {line[:200]!r}: {error}") from error

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return self.in_time / self.seconds

    @property
    def bad(self) -> int:
        """How many requests did not get what they asked for."""
        return self.errors + self.not_ok

    @property
    def complaint(self) -> str:
        """What went wrong, in words; "" when nothing did."""
        parts = [f"{self.errors} broken" * bool(self.errors)]
        parts.append(f"{self.not_ok} with status {self.not_ok_status}" * bool(self.not_ok))
        return ", ".join(filter(None, parts))


class Load:
    """A generator that runs; `report` waits for its end, `stop` asks for it."""

    def __init__(self, process: "subprocess.Popen[str]", seconds: float) -> None:
        self._process, self._seconds = process, seconds

    def stop(self) -> Report:
        """End it now."""
        self._process.send_signal(signal.SIGTERM)
        return self.report()

    def report(self) -> Report:
        """What it saw.

        Raises:
            ClusterError: it failed, for instance because nobody listens.
        """
        told, complaint = self._process.communicate(timeout=self._seconds + _GRACE)
        if self._process.returncode != 0:
            raise ClusterError(f"the load generator failed: {complaint.strip()}")
        return Report.parse(told)


@contextmanager
def load(
    program: Sequence[str | Path],
    address: tuple[str, int],
    request: Path,
    *,
    connections: int,
    seconds: float,
    ramp: float = 0,
    once: bool = False,
    cut: bool = False,
    ids: bool = False,
) -> Iterator[Load]:
    """Send `request`, a file with a whole HTTP request, over so many connections.

    Args:
        program: the generator, with what it is pinned by before it.
        address: where to.
        request: a file.
        connections: each sends its next request when the last one is answered.
        seconds: for how long.
        ramp: seconds over which the connections begin.
        once: each sends one request only.
        cut: end what is under way at the end, instead of waiting for its answer.
        ids: write an X-Request-Id of its own over the one in each request.
    """
    words = [*map(str, program), address[0], str(address[1]), str(request)]
    words += [str(connections), str(seconds), f"ramp={ramp}"]
    words += ["once"] * once + ["cut"] * cut + ["ids"] * ids
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield Load(process, seconds)
        finally:
            if process.poll() is None:
                process.kill()
