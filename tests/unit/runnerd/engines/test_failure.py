"""What the end of an engine means."""

import signal

import pytest

from modelrunner_protocol.reasons import Reason
from runnerd.engines.failure import LONGEST_MESSAGE, classify, with_lines


def _classify(status: int, *, oom: bool = False, loading: bool = False) -> tuple[Reason, str]:
    found = classify(status, oom=oom, memory_limit=1 << 30, lines=(), loading=loading)
    return found.reason, found.message


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (1, "ended with exit code 1"),
        (0, "ended with exit code 0"),
        (-signal.SIGILL, "SIGILL (the engine of this image was not built for this kind"),
        (-signal.SIGSEGV, "was killed by SIGSEGV"),
        (-63, "was killed by signal 63"),
    ],
)
def test_words(status: int, words: str) -> None:
    """Every end has words."""
    reason, message = _classify(status)
    assert reason is Reason.ENGINE_FAILED
    assert words in message


def test_out_of_memory() -> None:
    """SIGKILL with a risen counter is OutOfMemory with the limit; one without the other is not."""
    reason, message = _classify(-signal.SIGKILL, oom=True, loading=True)
    assert reason is Reason.OUT_OF_MEMORY
    assert "1 GiB" in message
    assert "while it was loading" in message
    assert _classify(-signal.SIGKILL)[0] is Reason.ENGINE_FAILED
    assert _classify(1, oom=True)[0] is Reason.ENGINE_FAILED
    found = classify(-9, oom=True, memory_limit=None, lines=(), loading=False)
    assert "limit. Raise" in found.message
    small = classify(-9, oom=True, memory_limit=100, lines=(), loading=False)
    assert "100 bytes" in small.message


def test_telling_lines() -> None:
    """Recognisable lines are chosen, each once, without stamps; else the last ones."""
    lines = ["boring", "0.00.000.001 E x error: bad file", "error: bad file", "error: bad file"]
    assert with_lines("it ended", lines) == "it ended: x error: bad file | error: bad file"
    assert with_lines("it ended", ["a", "b"]) == "it ended: a | b"
    assert with_lines("it ended", []) == "it ended"
    assert with_lines("it ended", ["a", "0.1.2 x", "0.00.000.001 I slot release"]) == (
        "it ended: a | 0.1.2 x"
    )


def test_length() -> None:
    """A message is bounded."""
    text = with_lines("it ended", [f"error {i} " + "x" * 900 for i in range(9)])
    assert len(text) == LONGEST_MESSAGE
    assert text.endswith("…")
