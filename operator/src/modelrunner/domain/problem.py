"""What is wrong, in a word for programs and a sentence for people."""

from dataclasses import dataclass

from modelrunner_protocol.reasons import Reason


@dataclass(frozen=True, slots=True)
class Problem:
    """A condition's reason and message. `retry_at` (epoch seconds): when it is tried again."""

    reason: Reason
    message: str
    retry_at: float | None = None
