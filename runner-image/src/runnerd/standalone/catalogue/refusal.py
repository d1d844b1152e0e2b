"""How a pull or a push is refused, before anything of it was done."""

from typing import Final

from modelrunner_protocol.reasons import Reason
from runnerd.weights.failure import DeniedError, MissingError, WeightsError

_BY_REASON: Final = {Reason.UNSUPPORTED_FORMAT: 422, Reason.INVALID_CONFIGURATION: 400}


class PullRefusedError(Exception):
    """A pull or a push that does not begin; the text says what to do.

    Attributes:
        status: 400 no reference, 401 not for us, 404 nothing there, 422 nothing that can be run
            here, 500 all else.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def refusal_of(error: WeightsError) -> PullRefusedError:
    """What a failure means for whoever asked."""
    status = _BY_REASON.get(error.reason, 500)
    if isinstance(error, DeniedError):
        status = 401
    elif isinstance(error, MissingError):
        status = 404
    return PullRefusedError(status, str(error))
