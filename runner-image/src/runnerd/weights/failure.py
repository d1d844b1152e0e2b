"""How resolving and pulling fail."""

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
        super().__init__(message)
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
        super().__init__(message)
        self.retry_after = retry_after


def unsupported(message: str) -> WeightsError:
    """The source holds something that no engine here can run."""
    return WeightsError(message, reason=Reason.UNSUPPORTED_FORMAT)
