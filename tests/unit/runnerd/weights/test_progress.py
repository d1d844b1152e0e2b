"""Rate and time left."""

import pytest

from modelrunner_protocol.wire import Progress, PullPhase
from runnerd.weights.progress import ProgressMeter, line
from tests.unit.runnerd.weights.virtual_clock import VirtualClock

MIB = 1 << 20


def _meter(total: int | None = 100 * MIB, completed: int = 0) -> tuple[ProgressMeter, VirtualClock]:
    clock = VirtualClock()
    meter = ProgressMeter(clock)
    meter.total = total
    meter.downloading(completed)
    return meter, clock


def _run(meter: ProgressMeter, clock: VirtualClock, seconds: float, rate: int) -> None:
    for _ in range(int(seconds * 10)):
        clock.time += 0.1
        meter.add(rate // 10)


def test_nothing_is_told_before_it_is_measured() -> None:
    """No rate and no time left come from less than half a second."""
    meter, clock = _meter()
    clock.time += 0.1
    meter.add(50 * MIB)
    assert meter.progress() == Progress(
        phase=PullPhase.DOWNLOADING,
        completed_bytes=50 * MIB,
        total_bytes=100 * MIB,
        idle_seconds=0.0,
    )


def test_rate_and_time_left() -> None:
    """A steady stream has its rate, and the rest takes its time."""
    meter, clock = _meter()
    _run(meter, clock, 5, 10 * MIB)
    progress = meter.progress()
    assert progress.bytes_per_second == pytest.approx(10 * MIB, rel=0.02)
    assert progress.eta_seconds == pytest.approx(5, rel=0.05)


def test_rate_follows_a_change_within_the_window() -> None:
    """After ten seconds only the new rate counts."""
    meter, clock = _meter()
    _run(meter, clock, 60, 50 * MIB)
    _run(meter, clock, 11, 1 * MIB)
    assert meter.rate() == pytest.approx(1 * MIB, rel=0.15)


def test_stall_lets_the_rate_fall_to_zero() -> None:
    """When nothing comes, the rate falls, and the time left is not known."""
    meter, clock = _meter()
    _run(meter, clock, 5, 10 * MIB)
    clock.time += 30
    assert meter.progress().bytes_per_second == 0
    assert meter.progress().eta_seconds is None


def test_resumed_bytes_are_not_fast() -> None:
    """What was on the volume already counts as completed but not into the rate."""
    meter, clock = _meter(completed=90 * MIB)
    _run(meter, clock, 2, MIB)
    assert meter.completed == pytest.approx(92 * MIB, rel=0.01)
    assert meter.rate() == pytest.approx(MIB, rel=0.02)


def test_samples_are_bounded() -> None:
    """A long pull keeps no more samples than a window holds."""
    meter, clock = _meter(total=None)
    _run(meter, clock, 600, MIB)
    assert len(meter._samples) < 50


def test_done_is_complete() -> None:
    """At the end everything is there, and nothing is still measured."""
    meter, _ = _meter()
    meter.message = "x"
    meter.done(7)
    assert meter.progress() == Progress(phase=PullPhase.DONE, completed_bytes=7, total_bytes=7)


def test_line() -> None:
    """One line tells share, sizes, rate and time left."""
    progress = Progress(
        phase=PullPhase.DOWNLOADING,
        completed_bytes=MIB,
        total_bytes=4 * MIB,
        bytes_per_second=MIB / 2,
        eta_seconds=6.2,
        message="why",
    )
    expected = "downloading 25 % · 1.00 MiB of 4.00 MiB · 512.00 KiB/s · 6s left · why"
    assert line(progress) == expected
    assert line(Progress(phase=PullPhase.WAITING)) == "waiting"


def test_silence_counts_while_bytes_are_waited_for() -> None:
    """From the question on, from the last byte on; not while others work or bytes are hashed."""
    clock = VirtualClock()
    meter = ProgressMeter(clock)
    clock.time += 30
    assert meter.progress().idle_seconds is None
    meter.asking()
    clock.time += 70
    assert meter.progress().idle_seconds == 70
    meter.downloading(0)
    assert meter.progress().idle_seconds == 70
    meter.add(1)
    clock.time += 2
    assert meter.progress().idle_seconds == 2
    meter.verifying(1)
    assert meter.progress().idle_seconds is None
    meter.asking()
    meter.working()
    assert meter.progress().idle_seconds is None


def test_nothing_is_waited_for_once_all_bytes_are_there() -> None:
    """Until they are hashed and on the disk nobody calls that a silence."""
    meter, clock = _meter(total=10)
    meter.add(9)
    clock.time += 1
    assert meter.progress().idle_seconds == 1
    meter.add(1)
    clock.time += 100
    assert meter.progress().idle_seconds is None


def test_the_reason_of_a_silence_stays_until_a_byte_comes() -> None:
    """Between two attempts it is still known why nothing comes."""
    meter, _ = _meter()
    meter.retrying("the server answered 503; trying again")
    meter.downloading(0)
    assert meter.progress().message == "the server answered 503; trying again"
    meter.add(1)
    assert meter.progress().message == ""
    assert meter.retries == 1


def test_bytes_of_an_earlier_pull() -> None:
    """They are counted over all files; those of a file that starts over are not."""
    meter = ProgressMeter(VirtualClock())
    for held, begins_at in ((10, 10), (7, 0), (5, 5)):
        meter.resuming(held)
        meter.downloading(begins_at)
        meter.finished(20)
    assert meter.progress().resumed_bytes == 15


def test_silence_and_resumed_bytes_in_the_line() -> None:
    """People read what was there, and since when nothing came."""
    progress = Progress(
        phase=PullPhase.DOWNLOADING,
        completed_bytes=3 * MIB,
        total_bytes=4 * MIB,
        bytes_per_second=0,
        idle_seconds=80.4,
        resumed_bytes=2 * MIB,
        message="why",
    )
    words = "downloading 75 % · 3.00 MiB of 4.00 MiB · 0 B/s · 2.00 MiB were there"
    assert line(progress) == f"{words} · no byte for 1m20s · why"
