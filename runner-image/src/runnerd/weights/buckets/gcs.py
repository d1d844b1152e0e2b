"""The way into a bucket of Google Cloud Storage."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from obstore.store import GCSStore

from modelrunner_protocol.sources import describe_bucket
from modelrunner_protocol.wire import Credentials, GcsSource
from runnerd.weights.buckets.entrance import StoreEntrance
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
_SERVERS: Final = re.compile(r"(?:[a-z0-9.-]+\.)?googleapis\.com")
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


class GcsEntrance(StoreEntrance[GcsSource, str]):
    """A bucket of Google Cloud Storage.

    Nothing tells a pod whether it has an identity in Google's clouds. So without a Secret it first
    comes as nobody, which is enough for a public bucket; when it is refused, it asks the metadata
    server who it is, which other clouds and networks do not have. That is told to Google's own
    servers only.
    """

    field = _FIELD
    identities = IDENTITIES
    servers = _SERVERS
    endpoint_variables = ("GOOGLE_BASE_URL",)

    def renew(self) -> bool:
        """Whether the Secret was replaced, or there may be a metadata server to ask."""
        if self._credentials is not None:
            return super().renew()
        if self.asker.identity or not self._own:
            return False
        self.asker = replace(self.asker, identity=True, guessed=True)
        return True

    def _read_keys(self, credentials: Credentials) -> str:
        return read_account(credentials)

    def _asking(self) -> Asker:
        role = "the role Storage Object Viewer"
        return Asker(
            field=_FIELD,
            store=self._store_in_words("Google Cloud Storage"),
            where=describe_bucket(self._source),
            name=self._source.bucket,
            reading=f"{role} (storage.objects.get)",
            listing=f"{role} (storage.objects.list)",
            keys=ACCOUNT_KEY,
        )

    def _has_identity(self, environment: Mapping[str, str]) -> bool:
        return super()._has_identity(environment) or _logged_in(environment)

    def _open(self, settings: dict[str, Any]) -> "ObjectStore":
        if self._source.endpoint:
            settings["base_url"] = self._source.endpoint
        if self._keys is not None:
            settings["service_account_key"] = self._keys
            # The library would take a token of them instead, and show it to whatever endpoint.
            for name in IDENTITIES:
                os.environ.pop(name, None)
        elif not self.asker.identity:
            # Without a provider the library looks for one.
            settings |= {"skip_signature": True, "credential_provider": _nobody}
        return GCSStore(self._source.bucket, **settings)

    def _unusable(self) -> WeightsError:
        if self._credentials is not None:
            return _secret(self._credentials).broken(
                f"the private_key in the key {ACCOUNT_KEY} of the Secret {self._credentials.secret} "
                "is no RSA key"
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
