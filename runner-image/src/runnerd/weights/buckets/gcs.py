"""The way into a bucket of Google Cloud Storage."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from obstore.exceptions import BaseError
from obstore.store import GCSStore

from modelrunner_protocol.sources import describe_bucket, describe_url
from modelrunner_protocol.wire import Credentials, GcsSource
from runnerd.weights.buckets.entrance import check_endpoint, client, is_own, known
from runnerd.weights.buckets.refusal import Asker
from runnerd.weights.buckets.secret import Secret
from runnerd.weights.failure import WeightsError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

ACCOUNT_KEY: Final = "service-account.json"
IDENTITIES: Final = (
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_SERVICE_ACCOUNT_PATH",
    "GOOGLE_BEARER_TOKEN",
)
"""Variables that say who we are. Google's clusters set none: there a pod asks a server."""

_FIELD: Final = "spec.source.gcs"
_DOMAINS: Final = ("googleapis.com",)
_PARTS: Final = ("client_email", "private_key", "private_key_id")
# Where `gcloud auth application-default login` leaves it on a person's machine.
_LOGIN: Final = ".config/gcloud/application_default_credentials.json"


def read_account(credentials: Credentials) -> str:
    """The service account's key that the Secret holds: JSON, as Google makes it.

    Raises:
        WeightsError: the Secret is not there, or holds something else. It may be mended, so
            trying again may help.
    """
    secret = _secret(credentials)
    text = secret.needed(ACCOUNT_KEY, secret.text(ACCOUNT_KEY))
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        # Not `from error`: its text holds what is secret.
        message = f"the key {ACCOUNT_KEY} of the Secret {secret.name} is not JSON"
        raise secret.broken(message) from None
    missing = [part for part in _PARTS if not _has(found, part)]
    if missing:
        raise secret.broken(
            f"the key {ACCOUNT_KEY} of the Secret {secret.name} is no key of a service account: it "
            f"lacks {', '.join(missing)}"
        )
    return text


class GcsEntrance:
    """A bucket of Google Cloud Storage; see `Entrance`.

    Nothing tells a pod whether it has an identity in Google's clouds. So without a Secret it first
    comes as nobody, which is enough for a public bucket; when it is refused, it asks the metadata
    server who it is, which other clouds and networks do not have. That is told to Google's own
    servers only.

    Args:
        source: Which one.
        credentials: The user's Secret.
        stall_timeout: Seconds without a byte after which a connection is dead.
        environment: Where an identity is looked for.

    Raises:
        WeightsError: the Secret or the endpoint is not good.
    """

    def __init__(
        self,
        source: GcsSource,
        credentials: Credentials | None,
        *,
        stall_timeout: float,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        check_endpoint(source, _FIELD)
        self._source = source
        self._credentials = credentials
        self._stall_timeout = stall_timeout
        self._account = read_account(credentials) if credentials else ""
        self._own = is_own(source.endpoint, _DOMAINS)
        identity = known(environment, IDENTITIES) or _logged_in(environment)
        role = "the role Storage Object Viewer"
        self.asker = Asker(
            field=_FIELD,
            store=describe_url(source.endpoint) if source.endpoint else "Google Cloud Storage",
            where=describe_bucket(source),
            name=source.bucket,
            reading=f"{role} (storage.objects.get)",
            listing=f"{role} (storage.objects.list)",
            keys=ACCOUNT_KEY,
            secret=credentials.secret if credentials else "",
            identity=self._own and identity,
        )

    def connect(self) -> "ObjectStore":
        """The library's store; see `Entrance`."""
        settings = client(self._source, self._stall_timeout)
        if self._source.endpoint:
            settings["base_url"] = self._source.endpoint
        if self._account:
            settings["service_account_key"] = self._account
        elif not self.asker.identity:
            # Without a provider the library looks for one.
            settings |= {"skip_signature": True, "credential_provider": _nobody}
        try:
            return GCSStore(self._source.bucket, **settings)
        except (BaseError, ValueError):
            # Not `from error`: its text may hold what is secret.
            raise self._unusable() from None

    def renew(self) -> bool:
        """Whether the Secret was replaced, or there may be a metadata server to ask."""
        if self._credentials is None:
            if self.asker.identity or not self._own:
                return False
            self.asker = replace(self.asker, identity=True, guessed=True)
            return True
        try:
            found = read_account(self._credentials)
        except WeightsError:
            return False
        found, self._account = self._account, found
        return found != self._account

    def _unusable(self) -> WeightsError:
        if self._credentials is not None:
            return _secret(self._credentials).broken(
                f"the private_key in the key {ACCOUNT_KEY} of the Secret {self._credentials.secret} "
                "is no RSA key, or the variable GOOGLE_SERVICE_ACCOUNT names another one"
            )
        return WeightsError(
            "the file that GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT names is not "
            "there, or is neither the key of a service account nor a person's login (files of the "
            f"kind external_account are not understood): put a key into a Secret as {ACCOUNT_KEY} and "
            "name it in spec.source.credentialsSecret, or use the workload identity of GKE",
            retryable=True,
        )


def _secret(credentials: Credentials) -> Secret:
    return Secret(credentials, f"--from-file={ACCOUNT_KEY}=key.json")


def _has(found: Any, part: str) -> bool:
    return isinstance(found, dict) and isinstance(found.get(part), str) and bool(found[part])


def _logged_in(environment: Mapping[str, str]) -> bool:
    home = environment.get("HOME", "")
    return bool(home) and (Path(home) / _LOGIN).exists()


def _nobody() -> dict[str, Any]:
    return {"token": "", "expires_at": None}
