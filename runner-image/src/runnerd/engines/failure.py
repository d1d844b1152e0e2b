"""Why an engine ended, in words that a user can act on. Pure."""

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from modelrunner_protocol.reasons import Reason
from runnerd.engines.output import plain

LONGEST_MESSAGE: Final = 1500
_LAST_LINES: Final = 8
_TELLING: Final = re.compile(
    r"error|fail|unable|invalid|unknown|unsupported|not supported|exception|terminat|abort|"
    r"assert|out of memory|cannot|could not|no such|corrupt",
    re.IGNORECASE,
)
_HINTS: Final = {
    signal.SIGILL: "the engine of this image was not built for this kind of processor",
    signal.SIGKILL: "somebody outside of the runner killed it",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """A reason from the shared list and a message."""

    reason: Reason
    message: str


def classify(
    status: int, *, oom: bool, memory_limit: int | None, lines: Sequence[str], loading: bool
) -> Failure:
    """What the end of an engine means.

    Args:
        status: Exit code, or minus the signal that ended it.
        oom: The kernel killed a process of this container for want of memory meanwhile.
        memory_limit: Bytes that the container may use, None without a limit.
        lines: The engine's last output, oldest first.
        loading: It had not been ready yet.
    """
    when = " while it was loading the model" if loading else ""
    if oom and status == -signal.SIGKILL:
        limit = f" of {_size(memory_limit)}" if memory_limit else ""
        message = f"the engine was killed{when}: the container reached its memory limit{limit}. "
        message += "Raise resources.limits.memory, or choose a smaller contextSize or model"
        return Failure(Reason.OUT_OF_MEMORY, message)
    return Failure(Reason.ENGINE_FAILED, with_lines(f"llama-server {_ended(status)}{when}", lines))


def with_lines(message: str, lines: Sequence[str]) -> str:
    """A message and the engine's most telling lines, at most `LONGEST_MESSAGE` characters."""
    # llama-server tells every request in several lines that begin so.
    words = [word for line in lines if not (word := plain(line)).startswith("slot ")]
    telling = [line for line in words if _TELLING.search(line)][-_LAST_LINES:]
    # A line said twice is one piece of news.
    chosen = list(dict.fromkeys(telling or words[-_LAST_LINES:]))
    text = f"{message}: {' | '.join(chosen)}" if chosen else message
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 1] + "…"


def _ended(status: int) -> str:
    if status >= 0:
        return f"ended with exit code {status}"
    try:
        number = signal.Signals(-status)
    except ValueError:
        return f"was killed by signal {-status}"
    hint = f" ({_HINTS[number]})" if number in _HINTS else ""
    return f"was killed by {number.name}{hint}"


def _size(count: int) -> str:
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"
