"""What the API server's refusals mean to the code that asked."""

# ruff: noqa: N818 - named after the API's reasons, which is how a reconciler reads them

import re
from collections.abc import Mapping
from typing import Any


class KubeError(Exception):
    """The API server refused, or could not be asked.

    `status` is the HTTP status (0: no answer at all), `reason` the API's machine word
    (`AlreadyExists`, `Forbidden`, …), `message` its sentence, shortened.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}" if status else f"{reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class NotFound(KubeError):
    """404: the object, its namespace or its kind is not there."""


class Forbidden(KubeError):
    """403: RBAC, admission or a quota says no."""


class Conflict(KubeError):
    """409: somebody else was first (resourceVersion, field ownership, uid precondition).

    `fields` are those that an apply without force may not take: each with the manager it belongs to.
    """

    def __init__(
        self, status: int, reason: str, message: str, fields: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(status, reason, message)
        self.fields = fields


class AlreadyExists(Conflict):
    """409 on create: the name is taken."""


class Gone(KubeError):
    """410: the continue token or resourceVersion is too old; list again."""


class Invalid(KubeError):
    """422, 400 (or an untypable apply, 500): the object or the patch is wrong, a failed JSON-patch `test` included."""


class Unavailable(KubeError):
    """No answer, 429 or 5xx: ask again later, after `retry_after` seconds when the server says so."""

    def __init__(
        self, status: int, reason: str, message: str, retry_after: float | None = None
    ) -> None:
        super().__init__(status, reason, message)
        self.retry_after = retry_after


_MESSAGE_LENGTH = 1000
# The server's answer to an apply whose values have the wrong types; asking again cannot help.
_NOT_TYPED = "failed to create typed patch object"
_FIELD_CONFLICT = "FieldManagerConflict"
_MANAGER = re.compile(r'conflict with "([^"]*)"')
_BY_STATUS: Mapping[int, type[KubeError]] = {
    400: Invalid,
    403: Forbidden,
    404: NotFound,
    410: Gone,
    422: Invalid,
}


def error_of(status: int, body: Mapping[str, Any], retry_after: str | None = None) -> KubeError:
    """The error for an HTTP answer; `body` is its Status object (or anything else)."""
    reason = str(body.get("reason") or "")
    message = str(body.get("message") or "no message")[:_MESSAGE_LENGTH]
    if status == 500 and message.startswith(_NOT_TYPED):
        return Invalid(status, "Invalid", message)
    if status == 429 or status >= 500:
        return Unavailable(status, reason or "Unavailable", message, _seconds(body, retry_after))
    if reason == "AlreadyExists":
        return AlreadyExists(status, reason, message)
    if status == 409:
        return Conflict(status, reason or "Conflict", message, _contested(body))
    known = _BY_STATUS.get(status, KubeError)
    return known(status, reason or known.__name__, message)


def _contested(body: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Fields and their managers: `conflict with "kubectl" using v1`, `.spec.replicas`."""
    details = body.get("details")
    causes = details.get("causes") if isinstance(details, Mapping) else None
    found = []
    for cause in causes if isinstance(causes, list) else ():
        if isinstance(cause, Mapping) and cause.get("reason") == _FIELD_CONFLICT:
            words = _MANAGER.search(str(cause.get("message")))
            field = str(cause.get("field") or "").removeprefix(".")
            found.append((field, words[1] if words else "another manager"))
    return tuple(found)


def _seconds(body: Mapping[str, Any], header: str | None) -> float | None:
    details = body.get("details")
    told = details.get("retryAfterSeconds") if isinstance(details, Mapping) else None
    for value in (header, told):
        try:
            seconds = float(value)  # type: ignore[arg-type]  # anything else is caught below
        except (TypeError, ValueError):
            continue
        if 0 <= seconds < 3600:
            return seconds
    return None
