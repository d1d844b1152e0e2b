"""The way into a container of Azure Blob Storage."""

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from obstore.store import AzureStore

from modelrunner_protocol.sources import describe_bucket
from modelrunner_protocol.wire import AzureSource, Credentials
from runnerd.weights.buckets.entrance import StoreEntrance
from runnerd.weights.buckets.refusal import Asker
from runnerd.weights.buckets.secret import Secret

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
_SERVERS: Final = re.compile(
    r"(?:[a-z0-9.-]+\.)?(?:blob\.core\.(?:windows\.net|chinacloudapi\.cn|usgovcloudapi\.net)"
    r"|blob\.storage\.azure\.net)"
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


class AzureEntrance(StoreEntrance[AzureSource, Keys]):
    """A container of Azure Blob Storage."""

    field = _FIELD
    identities = IDENTITIES
    servers = _SERVERS
    endpoint_variables = ("AZURE_STORAGE_ENDPOINT",)
    token_variables = (
        *("IDENTITY_ENDPOINT", "AZURE_IDENTITY_ENDPOINT", "AZURE_MSI_ENDPOINT"),
        *("AZURE_AUTHORITY_HOST", "AZURE_STORAGE_AUTHORITY_HOST"),
    )

    def _read_keys(self, credentials: Credentials) -> Keys:
        return read_keys(credentials)

    def _asking(self) -> Asker:
        source = self._source
        return Asker(
            field=_FIELD,
            store=self._store_in_words(f"the storage account {source.account}"),
            where=describe_bucket(source),
            noun="container",
            name=source.container,
            reading=_ROLE,
            listing=_ROLE,
            keys=" and ".join(self._keys.names) if self._keys else ACCOUNT_KEY,
            address="endpoint" if source.endpoint else "account",
        )

    def _open(self, settings: dict[str, Any]) -> "ObjectStore":
        settings["account_name"] = self._source.account
        if self._source.endpoint:
            settings["endpoint"] = self._source.endpoint
        if self._keys is not None:
            settings |= _given(self._keys)
        elif not self.asker.identity:
            settings["skip_signature"] = True
        return AzureStore(self._source.container, **settings)


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
