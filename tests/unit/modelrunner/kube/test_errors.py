"""What the API server's refusals become."""

import pytest

from modelrunner.kube import errors
from modelrunner.kube.errors import Unavailable, error_of


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (400, "BadRequest", errors.Invalid),
        (401, "Unauthorized", errors.KubeError),
        (403, "Forbidden", errors.Forbidden),
        (404, "NotFound", errors.NotFound),
        (409, "AlreadyExists", errors.AlreadyExists),
        (409, "Conflict", errors.Conflict),
        (410, "Expired", errors.Gone),
        (422, "Invalid", errors.Invalid),
        (429, "TooManyRequests", errors.Unavailable),
        (500, "InternalError", errors.Unavailable),
        (503, "", errors.Unavailable),
    ],
)
def test_each_status_has_its_class(
    status: int, reason: str, expected: type[errors.KubeError]
) -> None:
    """A reconciler catches what it can handle by class."""
    error = error_of(status, {"reason": reason, "message": "words"})
    assert type(error) is expected
    assert error.status == status
    assert "words" in str(error)


def test_an_apply_that_cannot_be_typed_is_invalid_not_unavailable() -> None:
    """The server answers 500; retrying a podTemplate with a wrong type would never help."""
    told = {"message": "failed to create typed patch object (ns/d; apps/v1): .spec.replicas: …"}
    assert type(error_of(500, told)) is errors.Invalid


@pytest.mark.parametrize(
    ("header", "body", "seconds"),
    [
        ("7", {}, 7.0),
        (None, {"details": {"retryAfterSeconds": 3}}, 3.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", {"details": {"retryAfterSeconds": 3}}, 3.0),
        ("-5", {}, None),
        ("999999999", {}, None),
        (None, {"details": "none"}, None),
    ],
)
def test_retry_after_is_read_and_bounded(
    header: str | None, body: dict[str, object], seconds: float | None
) -> None:
    """From the header or the Status; nonsense is ignored."""
    error = error_of(429, body, header)
    assert isinstance(error, Unavailable)
    assert error.retry_after == seconds


def test_long_messages_are_shortened() -> None:
    """A refusal may quote a whole object; conditions and logs may not."""
    assert len(error_of(422, {"message": "x" * 10_000}).message) == 1000
