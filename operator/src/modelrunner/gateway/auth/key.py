"""One API key, as its Secret describes it."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from modelrunner.gateway.auth.globs import EVERYTHING, Globs
from modelrunner.gateway.auth.usage import Usage
from modelrunner.gateway.table.entry import ModelEntry

LABEL: Final = "modelrunner.dev/api-key"
"""Label of the Secrets that are API keys; its value is "true"."""

INFER: Final = "infer"
MANAGE: Final = "manage"
SCOPES: Final = frozenset({INFER, MANAGE})

_HEX: Final = re.compile(r"[0-9a-f]{64}")
_DIGITS: Final = 9
# Enough of a mistyped field's name to find it, too little of a key that stands in its place.
_QUOTED: Final = 20


class MalformedKeyError(ValueError):
    """A Secret is no API key; the message says why and holds nothing of the key."""


@dataclass(slots=True, eq=False)
class ApiKey:
    """What the holder of a key may do.

    `name` is the Secret's; `concurrent` and `per_minute` hold for each replica of the gateway;
    `expires` is a time since the epoch, in seconds.
    """

    name: str
    digest: bytes = field(repr=False)
    scopes: frozenset[str] = frozenset({INFER})
    models: Globs = field(default_factory=lambda: Globs((EVERYTHING,)))
    concurrent: int | None = None
    per_minute: int | None = None
    expires: float | None = None
    usage: Usage = field(default_factory=Usage, repr=False)

    def may_use(self, entry: ModelEntry) -> bool:
        """Whether the key is good for this model."""
        return self.models.allow(entry.namespace, entry.name)


def read_key(secret: Mapping[str, Any]) -> ApiKey:
    """The key that a Secret, as the API server gives it, describes.

    Anything unknown or malformed is refused as a whole: with half of its bounds a key would be
    wider than was meant. No value is ever quoted: people put keys in wrong places.

    Raises:
        MalformedKeyError: why it is none.
    """
    given = {name: _text(name, value) for name, value in (secret.get("data") or {}).items()}
    if unknown := given.keys() - _READERS.keys():
        raise MalformedKeyError(f"{min(unknown)[:_QUOTED]}: no such field")
    if "sha256" not in given:
        raise MalformedKeyError("sha256 is missing")
    known: dict[str, Any] = {}
    for name, (attribute, read) in _READERS.items():
        if name in given:
            try:
                known[attribute] = read(given[name])
            except ValueError as error:
                raise MalformedKeyError(f"{name}: {error}") from None
    return ApiKey(name=secret["metadata"]["name"], **known)


def _text(name: str, value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode("ascii").strip()
    except (binascii.Error, ValueError):
        # Not `from error`: a decoding error carries the bytes it could not read.
        raise MalformedKeyError(f"{name}: is not plain text") from None


def _digest(text: str) -> bytes:
    if not _HEX.fullmatch(text):
        raise ValueError("is not the SHA-256 of a key: 64 digits 0-9 a-f")
    return bytes.fromhex(text)


def read_scopes(text: str) -> frozenset[str]:
    """Scopes separated by commas or white space.

    Raises:
        ValueError: there is none, or one is unknown.
    """
    scopes = frozenset(text.replace(",", " ").split())
    if not scopes:
        raise ValueError("no scope is given")
    if scopes - SCOPES:
        raise ValueError(f"holds something else than {', '.join(sorted(SCOPES))}")
    return scopes


def read_count(text: str) -> int:
    """A whole number from 1 to 999,999,999.

    Raises:
        ValueError: it is none.
    """
    if not text.isdecimal() or len(text) > _DIGITS or not int(text):
        raise ValueError("is not a whole number above zero")
    return int(text)


def read_expiry(text: str) -> float:
    """An RFC 3339 time, as seconds since the epoch.

    Raises:
        ValueError: it is none, or names no time zone.
    """
    try:
        moment = datetime.fromisoformat(text)
        # In UTC, for it is told in UTC, where a year 1 or 9999 of another zone may not exist.
        seconds = moment.astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        raise ValueError("is not a time such as 2030-01-31T00:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError("names no time zone: write 2030-01-31T00:00:00Z")
    return seconds


_READERS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "sha256": ("digest", _digest),
    "scopes": ("scopes", read_scopes),
    "models": ("models", Globs.parse),
    "maxConcurrent": ("concurrent", read_count),
    "requestsPerMinute": ("per_minute", read_count),
    "expires": ("expires", read_expiry),
}
