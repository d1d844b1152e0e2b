"""Processor time and memory out of /proc."""

import os
import subprocess
import sys

from tests.perf.usage import (
    busy_seconds,
    cpu_seconds,
    memory_mib,
    proportional,
    resident_mib,
    ticks,
)


def test_a_name_with_blanks_and_parentheses_shifts_nothing() -> None:
    """The fields are counted from behind the program's name, which anybody may choose."""
    stat = "7 (a) b (c)) S 1 7 7 0 -1 0 0 0 0 0 30 12 0 0 20 0 1 0 5 0 0"
    assert ticks(stat) == 42


def test_shared_memory_is_counted_by_its_share() -> None:
    """Pss, not Rss or Pss_Anon; a zombie's file is empty."""
    rollup = "Rss:  900 kB\nPss:                 123 kB\nPss_Anon:   50 kB\n"
    assert proportional("00 ---p [rollup]\n" + rollup) == 123
    assert proportional("") == 0


def test_all_processes_of_a_session_count() -> None:
    """A worker's time and memory are its parent's for the table."""
    worker = "sum(range(3_000_000)); import sys; print(flush=True); sys.stdin.read()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {worker!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", parent],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        assert cpu_seconds(process.pid) > 0
        assert memory_mib(process.pid) > 4
        process.stdin.close()
    assert cpu_seconds(process.pid) == 0
    assert os.getsid(0) != process.pid


def test_one_process_is_looked_at_finely() -> None:
    """Its time is not cut to clock ticks; what it shares with others is not all its own."""
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", "print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert busy_seconds(process.pid) > 0
        whole, share = resident_mib(process.pid)
        assert 1 < share <= whole
        process.communicate(b"\n")
