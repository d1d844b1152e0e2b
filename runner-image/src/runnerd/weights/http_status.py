"""What an HTTP answer means for a download."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from runnerd.weights.failure import TransientError, WeightsError

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

_ADVICE: Final = {
    401: "it asks for credentials: use a URL that needs none, such as a pre-signed one",
    403: "it forbids the download: check who may read the file; a pre-signed URL may have expired",
    404: "there is no such file: correct spec.source.http.url",
    410: "the file is gone: correct spec.source.http.url",
}
_MAY_PASS: Final = frozenset({408, 421, 425, 429})


def refusal(where: str, status: int, headers: Mapping[str, str]) -> Exception:
    """The error for an answer that is neither content nor a redirect.

    Args:
        where: The URL in words.
        status: The HTTP status.
        headers: With case-insensitive names.
    """
    if (passing := transient(status, headers)) is not None:
        return passing
    advice = _ADVICE.get(status, "that is not a download: check spec.source.http.url")
    return WeightsError(f"{where}: the server answered {status}: {advice}")


def transient(status: int, headers: Mapping[str, str]) -> TransientError | None:
    """The error for an answer that may be another one in a moment; None for all others."""
    if status < 500 and status not in _MAY_PASS:
        return None
    wait = retry_after(headers.get("Retry-After"))
    return TransientError(f"the server answered {status}", retry_after=wait)


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds of a Retry-After header, which holds a number or a date; None if unreadable."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        then = parsedate_to_datetime(text)
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - (now or datetime.now(tz=UTC))).total_seconds())


def is_strong(etag: str) -> bool:
    """Whether equal tags mean equal bytes (RFC 9110, 8.8.1)."""
    return bool(etag) and not etag.startswith("W/")


def content_range(value: str | None) -> tuple[int | None, int | None]:
    """(first byte, total bytes) of a Content-Range header; None for what it does not tell."""
    unit, _, rest = (value or "").strip().partition(" ")
    span, _, total = rest.partition("/")
    if unit.lower() != "bytes":
        return None, None
    return _number(span.partition("-")[0]), _number(total)


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
