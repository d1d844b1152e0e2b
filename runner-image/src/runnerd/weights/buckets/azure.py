"""The way into a container of Azure Blob Storage."""

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from obstore.store import AzureStore

from modelrunner_protocol.sources import describe_bucket, describe_url
from modelrunner_protocol.wire import AzureSource, Credentials
from runnerd.weights.buckets.entrance import check_endpoint, client, is_own, known
from runnerd.weights.buckets.refusal import Asker
from runnerd.weights.buckets.secret import Secret
from runnerd.weights.failure import WeightsError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

ACCOUNT_KEY: Final = "AZURE_STORAGE_ACCOUNT_KEY"
SIGNATURE_KEY: Final = "AZURE_STORAGE_SAS_TOKEN"
CLIENT_KEYS: Final = ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID")
IDENTITIES: Final = (
    "AZURE_FEDERATED_TOKEN_FILE",
    *("AZURE_CLIENT_ID", "AZURE_STORAGE_CLIENT_ID"),
    *("IDENTITY_ENDPOINT", "AZURE_IDENTITY_ENDPOINT", "AZURE_MSI_ENDPOINT"),
    *("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY"),
    *("AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY", "AZURE_STORAGE_TOKEN"),
)
"""Variables by which a platform tells a pod who it is."""

_FIELD: Final = "spec.source.azure"
_DOMAINS: Final = (
    "blob.core.windows.net",
    "blob.core.chinacloudapi.cn",
    "blob.core.usgovcloudapi.net",
    "blob.storage.azure.net",
)
_ROLE: Final = "the role Storage Blob Data Reader"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Who we are to the store: one of the account's key, a signature, or a client.

    Attributes:
        names: The keys of the Secret that hold it.
        client: Client id, client secret, tenant id; () for none.
    """

    names: tuple[str, ...]
    account: str = field(default="", repr=False)
    signature: str = field(default="", repr=False)
    client: tuple[str, ...] = field(default=(), repr=False)


def read_keys(credentials: Credentials) -> Keys:
    """The first kind of keys that the Secret holds.

    Raises:
        WeightsError: the Secret is not there, or holds something else. It may be mended, so
            trying again may help.
    """
    secret = Secret(credentials, f"--from-literal={ACCOUNT_KEY}=…")
    if account := secret.word(ACCOUNT_KEY):
        if not _is_base64(account):
            raise secret.unfit(ACCOUNT_KEY)
        return Keys(names=(ACCOUNT_KEY,), account=account)
    if signature := secret.word(SIGNATURE_KEY):
        if "sig=" not in signature:
            raise secret.unfit(SIGNATURE_KEY)
        return Keys(names=(SIGNATURE_KEY,), signature=signature)
    words = {key: secret.word(key) for key in CLIENT_KEYS}
    missing = [key for key, word in words.items() if not word]
    if not missing:
        return Keys(names=CLIENT_KEYS, client=tuple(words.values()))
    if len(missing) < len(CLIENT_KEYS):
        raise secret.lacking(f"no key {' and '.join(missing)}")
    raise secret.lacking(
        f"none of the keys {ACCOUNT_KEY}, {SIGNATURE_KEY} or {', '.join(CLIENT_KEYS)}"
    )


class AzureEntrance:
    """A container of Azure Blob Storage; see `Entrance`.

    Args:
        source: Which one.
        credentials: The user's Secret. Without it the pod's own identity is used where the
            environment has one, for Azure's own servers only; without that nothing is signed.
        stall_timeout: Seconds without a byte after which a connection is dead.
        environment: Where an identity is looked for.

    Raises:
        WeightsError: the Secret or the endpoint is not good.
    """

    def __init__(
        self,
        source: AzureSource,
        credentials: Credentials | None,
        *,
        stall_timeout: float,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        check_endpoint(source, _FIELD)
        self._source = source
        self._credentials = credentials
        self._stall_timeout = stall_timeout
        self._keys = read_keys(credentials) if credentials else None
        usual = f"the storage account {source.account}"
        self.asker = Asker(
            field=_FIELD,
            store=describe_url(source.endpoint) if source.endpoint else usual,
            where=describe_bucket(source),
            noun="container",
            name=source.container,
            reading=_ROLE,
            listing=_ROLE,
            keys=" and ".join(self._keys.names) if self._keys else ACCOUNT_KEY,
            address="endpoint" if source.endpoint else "account",
            secret=credentials.secret if credentials else "",
            identity=is_own(source.endpoint, _DOMAINS) and known(environment, IDENTITIES),
        )

    def connect(self) -> "ObjectStore":
        """The library's store; see `Entrance`."""
        source, settings = self._source, client(self._source, self._stall_timeout)
        settings["account_name"] = source.account
        if source.endpoint:
            settings["endpoint"] = source.endpoint
        if self._keys is not None:
            settings |= _given(self._keys)
        elif not self.asker.identity:
            settings["skip_signature"] = True
        return AzureStore(source.container, **settings)

    def renew(self) -> bool:
        """Whether the Secret was replaced; one that is half written is none."""
        try:
            found = read_keys(self._credentials) if self._credentials else None
        except WeightsError:
            return False
        found, self._keys = self._keys, found
        return found != self._keys


def _given(keys: Keys) -> dict[str, Any]:
    if keys.client:
        identifier, word, tenant = keys.client
        return {
            "client_id": identifier,
            "client_secret": word,
            "tenant_id": tenant,
            # Else a federated token of the environment comes first.
            "credential_type": "client_secret",
        }
    found: dict[str, Any] = {"expires_at": None}
    found |= {"access_key": keys.account} if keys.account else {"sas_token": keys.signature}
    return {"credential_provider": lambda: found}


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except binascii.Error:
        return False
