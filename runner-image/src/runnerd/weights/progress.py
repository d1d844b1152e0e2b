"""How far a pull is, how fast, and how long it will take."""

from collections import deque
from typing import Final

from modelrunner_protocol.durations import format_duration
from modelrunner_protocol.wire import Progress, PullPhase
from runnerd.weights.clock import Clock
from runnerd.weights.disk import size_text

WINDOW: Final = 10.0
"""Seconds over which the rate is averaged."""

SILENCE: Final = 5.0
"""Seconds without a byte after which people are told so."""

_SHORTEST: Final = 0.5
_SPACING: Final = 0.25


class ProgressMeter:
    """Counts bytes and measures their rate over the last ten seconds.

    Bytes that an earlier pull left on the volume count as completed, not as fast.

    Attributes:
        message: Why nothing comes; "" when all is well.
        retries: Attempts that failed and were made again.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()
        self._last = clock.now()
        self.phase = PullPhase.WAITING
        self.total: int | None = None
        self.completed = 0
        self._finished = 0
        self.downloaded = 0
        self.retries = 0
        self.message = ""
        self._waiting = False
        self._resumed = 0
        self._resumed_before = 0

    def asking(self) -> None:
        """The source is asked for something: from now on silence counts."""
        self.message = ""
        self._await_bytes()

    def working(self) -> None:
        """What is on the volume is looked at: no byte is waited for."""
        self._waiting = False

    def retrying(self, message: str) -> None:
        """An attempt failed. The message stays until a byte comes: a silence has a reason."""
        self.retries += 1
        self.message = message

    def resuming(self, held: int) -> None:
        """An earlier pull has left `held` bytes of the file that comes next."""
        self._resumed = held

    def downloading(self, completed: int) -> None:
        """The download of a file goes on (or starts) with `completed` bytes of it."""
        self.phase = PullPhase.DOWNLOADING
        self.completed = self._finished + completed
        # Who has to start over resumes nothing.
        self._resumed = min(self._resumed, completed)
        self._await_bytes()
        if not self._samples:
            self._samples.append((self._clock.now(), self.downloaded))

    def add(self, count: int) -> None:
        """`count` more bytes came from the source."""
        self.message = ""
        self.completed += count
        self.downloaded += count
        self._last = now = self._clock.now()
        if now - self._samples[-1][0] >= _SPACING:
            self._samples.append((now, self.downloaded))
            # One sample from before the window stays, so that the rate spans all of it.
            while len(self._samples) > 2 and self._samples[1][0] <= now - WINDOW:
                self._samples.popleft()

    def verifying(self, completed: int) -> None:
        """`completed` bytes of a file are on the volume and have been hashed."""
        self.phase = PullPhase.VERIFYING
        self.completed = self._finished + completed
        self._waiting = False

    def finished(self, size: int) -> None:
        """A file of `size` bytes is complete; what follows belongs to the next."""
        self._finished += size
        self.completed = self._finished
        self._resumed_before, self._resumed = self._resumed_before + self._resumed, 0

    def done(self, total: int) -> None:
        """Everything is there."""
        self.phase = PullPhase.DONE
        self.total = self.completed = total
        self.message = ""
        self._waiting = False

    @property
    def resumed(self) -> int:
        """Bytes that an earlier pull had left, of all files so far."""
        return self._resumed_before + self._resumed

    def idle(self) -> float | None:
        """Seconds since the last byte, or since one is waited for; None while none is."""
        whole = self.total is not None and self.completed >= self.total
        if whole or not self._waiting:
            return None
        return max(0.0, self._clock.now() - self._last)

    def rate(self) -> float | None:
        """Bytes per second over the window; None before there is anything to measure."""
        if self.phase is not PullPhase.DOWNLOADING or not self._samples:
            return None
        now = self._clock.now()
        if self._last <= now - WINDOW:
            return 0.0
        # The youngest sample that is at least a window old: when nothing comes, the rate falls.
        begin, before = next(
            (s for s in reversed(self._samples) if s[0] <= now - WINDOW), self._samples[0]
        )
        span = now - begin
        return (self.downloaded - before) / span if span >= _SHORTEST else None

    def progress(self) -> Progress:
        """The message for whoever asks."""
        rate = self.rate()
        eta = None
        if rate and self.total is not None:
            eta = max(0.0, (self.total - self.completed) / rate)
        return Progress(
            phase=self.phase,
            completed_bytes=self.completed,
            total_bytes=self.total,
            bytes_per_second=rate,
            eta_seconds=eta,
            message=self.message,
            idle_seconds=self.idle(),
            resumed_bytes=self.resumed,
        )

    def _await_bytes(self) -> None:
        if not self._waiting:
            self._waiting = True
            self._last = self._clock.now()


def bar(progress: Progress, width: int = 24) -> str:
    """How far it is as a bar of `width` characters; "" before the total is known."""
    if not progress.total_bytes:
        return ""
    filled = min(width, width * progress.completed_bytes // progress.total_bytes)
    return f"[{'#' * filled}{'.' * (width - filled)}] "


def line(progress: Progress) -> str:
    """Progress in one line: "downloading 45 % · 1.20 of 2.70 GiB · 88.1 MiB/s · 17s left"."""
    parts = [progress.phase.value]
    if progress.total_bytes:
        share = 100 * progress.completed_bytes // progress.total_bytes
        parts[0] += f" {share} %"
        total = size_text(progress.total_bytes)
        parts.append(f"{size_text(progress.completed_bytes)} of {total}")
    if progress.bytes_per_second is not None:
        parts.append(f"{size_text(progress.bytes_per_second)}/s")
    if progress.eta_seconds is not None:
        parts.append(f"{format_duration(round(progress.eta_seconds))} left")
    if progress.resumed_bytes:
        parts.append(f"{size_text(progress.resumed_bytes)} were there")
    if progress.idle_seconds is not None and progress.idle_seconds >= SILENCE:
        parts.append(f"no byte for {format_duration(int(progress.idle_seconds))}")
    if progress.message:
        parts.append(progress.message)
    return " · ".join(parts)
