"""The keys that are good now."""

import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from modelrunner.gateway.auth.key import ApiKey, MalformedKeyError, read_key

_log = logging.getLogger(__name__)


class KeyRing:
    """API keys by the SHA-256 of what their holders present.

    Fed with Secrets, in any order; belongs to one event loop. `clock` gives seconds since the
    epoch, for expiry.

    Keys are looked up by Python's hash of the digest, which is keyed anew in each process, and
    then compared in constant time: how long it takes tells nothing of the digests that are known.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._keys: dict[str, ApiKey] = {}
        self._problems: dict[str, str] = {}
        self._found: dict[int, tuple[ApiKey, ...]] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, presented: bytes) -> ApiKey | None:
        """The key that was presented, if it is one and has not expired."""
        key = self._match(presented)
        if key is None or key.expires is None or self._clock() < key.expires:
            return key
        return None

    def why_not(self, presented: bytes | None) -> str:
        """A sentence for a client whose key was not found (401)."""
        if presented is None:
            return "An API key is needed: send it as Authorization: Bearer KEY, or as x-api-key"
        key = self._match(presented)
        if key is None or key.expires is None:
            return "The API key is not known here"
        moment = datetime.fromtimestamp(key.expires, tz=UTC).isoformat(timespec="seconds")
        return f"The API key {key.name} expired at {moment}"

    def replace(self, secrets: Iterable[Mapping[str, Any]]) -> None:
        """Know exactly these Secrets."""
        before = self._keys
        self._keys, problems = {}, self._problems
        self._problems = {}
        for secret in secrets:
            self._read(secret, before, problems)
        self._index()

    def put(self, secret: Mapping[str, Any]) -> None:
        """A Secret is new or has changed."""
        name = secret["metadata"]["name"]
        before, problems = dict(self._keys), dict(self._problems)
        self._keys.pop(name, None)
        self._problems.pop(name, None)
        self._read(secret, before, problems)
        self._index()

    def drop(self, secret: Mapping[str, Any]) -> None:
        """A Secret is gone: its key is refused from now on."""
        name = secret["metadata"]["name"]
        self._keys.pop(name, None)
        self._problems.pop(name, None)
        self._index()

    def problems(self) -> dict[str, str]:
        """Why Secrets are not used, by their names."""
        return dict(self._problems)

    def _match(self, presented: bytes) -> ApiKey | None:
        digest = hashlib.sha256(presented).digest()
        for key in self._found.get(hash(digest), ()):
            if hmac.compare_digest(key.digest, digest):
                return key
        return None

    def _read(
        self, secret: Mapping[str, Any], before: Mapping[str, ApiKey], problems: Mapping[str, str]
    ) -> None:
        name = secret["metadata"]["name"]
        try:
            key = read_key(secret)
        except MalformedKeyError as error:
            self._problems[name] = str(error)
            if problems.get(name) != str(error):
                _log.warning("the Secret %s is not used as an API key: %s", name, error)
            return
        if known := before.get(name):
            # What runs and what was used this minute belongs to the name, not to its last edit.
            key.usage = known.usage
        self._keys[name] = key

    def _index(self) -> None:
        found: dict[int, tuple[ApiKey, ...]] = {}
        # By name, so that of two Secrets with one key every replica takes the same.
        for _, key in sorted(self._keys.items()):
            place = hash(key.digest)
            found[place] = (*found.get(place, ()), key)
        self._found = found
