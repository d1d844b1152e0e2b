"""How resolving and pulling fail.

What sources tell of themselves becomes part of sentences that people read in terminals and logs:
of it nothing remains that moves a cursor, turns a line around or begins a new one.
"""

from modelrunner_protocol.reasons import Reason


class WeightsError(Exception):
    """The work cannot be done; the message says what to change.

    Attributes:
        reason: The condition's reason.
        retryable: Whether trying the same again later may help.
        missing_bytes: So much more room the volume would have to have, where that is the cause.
        damaged: Whether what is there is not what it should be.
    """

    missing_bytes: int = 0
    damaged: bool = False

    def __init__(
        self, message: str, *, reason: Reason = Reason.PULL_FAILED, retryable: bool = False
    ) -> None:
        super().__init__(printable(message))
        self.reason = reason
        self.retryable = retryable


class DeniedError(WeightsError):
    """The source does not let us in."""


class MissingError(WeightsError):
    """The source does not hold what was asked for."""


class TransientError(Exception):
    """Something that may be over in a moment: it is tried again before anybody is told.

    Attributes:
        retry_after: Seconds that the server asked to wait, None when it did not.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(printable(message))
        self.retry_after = retry_after


def printable(text: str) -> str:
    """The text, with escapes in place of what a terminal would obey or could not show."""
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(sign: str) -> str:
    return sign if sign.isprintable() else ascii(sign)[1:-1]


def unsupported(message: str) -> WeightsError:
    """The source holds something that no engine here can run."""
    return WeightsError(message, reason=Reason.UNSUPPORTED_FORMAT)
